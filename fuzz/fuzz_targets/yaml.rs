//! Fuzzes the YAML reader in both dialects. Accepted text is written from its tree, and must be read again as the same
//! tree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown_yaml::{
    Diagnostics, Node,
    tree::{parse_bytes, parse_kubernetes},
};

fuzz_target!(|bytes: &[u8]| {
    for read in [parse_bytes, parse_kubernetes] {
        again(read("input.yaml", bytes));
    }
});

fn again(documents: Result<Vec<Node>, Diagnostics>) {
    let documents = match documents {
        Ok(documents) => documents,
        Err(errors) => {
            assert!(!errors.to_string().is_empty(), "an error without a message");
            return;
        }
    };
    for node in documents {
        let written = node.to_yaml_string();
        let reread = parse_bytes("written.yaml", written.as_bytes());
        let reread = reread.unwrap_or_else(|errors| panic!("{errors}\n{written}"));
        assert_eq!(reread.len(), 1, "{written}");
        assert_eq!(reread[0].to_json(), node.to_json(), "{written}");
    }
}
