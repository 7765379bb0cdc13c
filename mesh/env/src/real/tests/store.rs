//! The stores of a host.

use super::*;

#[test]
fn a_store_in_a_directory_survives_its_host() {
    let directory = std::env::temp_dir().join(format!("shakedown-store-{}", std::process::id()));
    let runtime = Runtime::new().unwrap();
    let options = HostOptions {
        store: Some(directory.clone()),
        ..HostOptions::new("here")
    };
    let env = runtime.host(options.clone()).unwrap();
    env.store().write("last-good", b"one").unwrap();
    env.store().write("last-good", b"two").unwrap();
    env.store().write("../ä/last good", b"three").unwrap();
    drop(env);
    let env = runtime.host(options).unwrap();
    let values =
        ["last-good", "../ä/last good", "last-good.new", "other"].map(|k| env.store().read(k));
    let files = std::fs::read_dir(&directory).unwrap().count();
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(
        values,
        [Some(b"two".to_vec()), Some(b"three".to_vec()), None, None]
    );
    assert_eq!(files, 2);
}

#[test]
fn a_store_in_memory_keeps_what_was_written_last() {
    let (_runtime, env) = world();
    env.store().write("k", b"one").unwrap();
    env.store().write("k", b"two").unwrap();
    assert_eq!(env.store().read("k"), Some(b"two".to_vec()));
}

#[test]
fn a_key_too_long_for_a_file_is_refused() {
    let directory = std::env::temp_dir().join(format!("shakedown-keys-{}", std::process::id()));
    let runtime = Runtime::new().unwrap();
    let options = HostOptions {
        store: Some(directory.clone()),
        ..HostOptions::new("here")
    };
    let env = runtime.host(options).unwrap();
    let refused = env.store().write(&"k".repeat(300), b"");
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidFilename);
}
