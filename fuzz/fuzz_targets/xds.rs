//! Fuzzes xDS resources as a control plane could send them: bytes are decoded as one of the four types and compiled to
//! the proxy's table. The first byte selects the type.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use prost::Message;
use shakedown_xds::compile::{
    compile_cluster, compile_endpoints, compile_listener, compile_routes,
};
use shakedown_xds::proto::{
    cluster::Cluster, endpoint::ClusterLoadAssignment, listener::Listener,
    route::RouteConfiguration,
};

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    match kind % 4 {
        0 => compiled(bytes, |message: Cluster| compile_cluster(&message)),
        1 => compiled(bytes, |message: ClusterLoadAssignment| {
            compile_endpoints(&message)
        }),
        2 => compiled(bytes, |message: RouteConfiguration| {
            compile_routes(&message)
        }),
        _ => compiled(bytes, |message: Listener| compile_listener(&message)),
    }
});

fn compiled<M, T, E>(bytes: &[u8], compile: impl Fn(M) -> Result<T, E>)
where
    M: Message + Default + Clone,
    T: Debug,
    E: ToString,
{
    let Ok(message) = M::decode(bytes) else {
        return;
    };
    // Compilation must be deterministic in its result and in its error.
    match (compile(message.clone()), compile(message)) {
        (Ok(first), Ok(second)) => assert_eq!(format!("{first:?}"), format!("{second:?}")),
        (Err(first), Err(second)) => {
            assert!(!first.to_string().is_empty());
            assert_eq!(first.to_string(), second.to_string());
        }
        _ => panic!("accepted once and refused once"),
    }
}
