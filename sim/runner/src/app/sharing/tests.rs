use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use shakedown_engine::{HostSpec, Sim, SimOptions};
use shakedown_env::UnixTime;

use super::{CoreSharing, Meter};

/// Returns the end times of jobs given as (start, work), all in us.
fn ends(cores: u32, jobs: &[(u64, u64)]) -> Vec<u64> {
    let sim = Sim::new(SimOptions {
        seed: 1,
        epoch: UnixTime::default(),
        noise: None,
    });
    let env = sim.add_host(HostSpec::new("host", IpAddr::from([10, 0, 0, 1])));
    let sharing = CoreSharing::new(env.clone(), cores, Meter::new(Rc::default(), None));
    env.spawn("cores", Rc::clone(&sharing).drive());
    let ends = Rc::new(RefCell::new(vec![None; jobs.len()]));
    for (index, (start, work)) in jobs.iter().copied().enumerate() {
        let (own, sharing, ends) = (env.clone(), Rc::clone(&sharing), Rc::clone(&ends));
        env.spawn("job", async move {
            own.sleep(Duration::from_micros(start)).await;
            sharing.work(Duration::from_micros(work)).await;
            let end = own.now().as_nanos();
            assert_eq!(end % 1_000, 0, "exact to the nanosecond");
            ends.borrow_mut()[index] = Some(end / 1_000);
        });
    }
    sim.run(|| ends.borrow().iter().all(Option::is_some))
        .unwrap();
    ends.take().into_iter().flatten().collect()
}

#[test]
fn one_job_takes_its_time() {
    assert_eq!(ends(1, &[(0, 100)]), [100]);
    assert_eq!(ends(4, &[(50, 100)]), [150]);
}

#[test]
fn two_jobs_share_a_core_evenly() {
    assert_eq!(ends(1, &[(0, 100), (0, 100)]), [200, 200]);
    // Alone until 50, shared until the first is done at 150, then alone.
    assert_eq!(ends(1, &[(0, 100), (50, 100)]), [150, 200]);
}

#[test]
fn no_job_is_faster_than_a_core() {
    assert_eq!(ends(4, &[(0, 100), (0, 100), (0, 50)]), [100, 100, 50]);
}

#[test]
fn more_jobs_than_cores_share_all_of_them() {
    assert_eq!(ends(2, &[(0, 100), (0, 100), (0, 100), (0, 100)]), [200; 4]);
    // Four jobs at half speed until the short ones end at 40, then two at full speed.
    assert_eq!(
        ends(2, &[(0, 100), (0, 100), (0, 20), (0, 20)]),
        [120, 120, 40, 40]
    );
}

#[test]
fn work_of_no_length_is_over_at_once_even_under_load() {
    assert_eq!(ends(1, &[(0, 100), (10, 0)]), [100, 10]);
}

#[test]
fn cores_that_were_idle_owe_nothing() {
    assert_eq!(
        ends(1, &[(0, 10), (1_000, 100), (1_000, 100)]),
        [10, 1_200, 1_200]
    );
}
