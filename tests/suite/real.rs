//! The same file on loopback sockets, in real time.

use crate::command::shakedown;

#[test]
fn header_routing_passes_on_real_sockets() {
    let ran = shakedown(&["run", "header-routing", "--real", "--set", "duration=5s"]).exits(0);
    assert!(ran.stdout.contains("real"), "{}", ran.stdout);
}
