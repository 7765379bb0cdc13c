//! The methods that the backends of both simulators have in common. The simulators' networks have the same methods, but
//! no common type.

/// Name of the runner's host.
pub(super) const RUNNER_HOST: &str = "runner";

/// Passes calls on to the simulator's network: `self.net`, with the hosts `self.runner` and `self.host(pod)`.
macro_rules! net_calls {
    () => {
        fn runner_env(&self) -> Env {
            self.net.env(self.runner)
        }

        fn env(&self, pod: PodId) -> Env {
            self.net.env(self.host(pod))
        }

        fn address(&self, pod: PodId) -> IpAddr {
            Addresses::SIMULATED.address(pod)
        }

        fn crash(&self, pod: PodId) {
            self.net.crash(self.host(pod));
        }

        fn restart(&self, pod: PodId) -> Env {
            self.net.restart(self.host(pod))
        }

        fn pause(&self, pod: PodId) {
            self.net.pause(self.host(pod));
        }

        fn resume(&self, pod: PodId) {
            self.net.resume(self.host(pod));
        }

        fn set_name(&self, name: String, addresses: Vec<IpAddr>) {
            self.net.set_name(name, addresses);
        }

        fn set_epoch_origin(&self, zero: Time) {
            self.net.set_epoch_origin(zero);
        }
    };
}
pub(super) use net_calls;
