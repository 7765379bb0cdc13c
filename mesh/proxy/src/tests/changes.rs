//! Tests configuration changes during requests.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join;
use shakedown_xds::table::{
    LbPolicy, RoundRobin, RouteAction, RouteActionKind, SlowStart, Table, WeightedCluster,
};

use super::scene::*;

const OTHER: &str = "outbound|9080||other.default.svc.cluster.local";

/// Each host answers with its name after a delay.
fn named(scene: &Scene, after: Duration) {
    for host in [UP1, UP2] {
        scene.answer_after(after, host, 9080, 200, host);
    }
}

/// Sends a request, and changes the configuration while it is in progress.
async fn amid(scene: &Scene, change: impl FnOnce()) -> Answer {
    let changing = async {
        scene.env(CALLER).sleep(ms(100)).await;
        change();
    };
    join(scene.get("/"), changing).await.0
}

#[test]
fn a_host_that_leaves_ends_what_it_has_and_gets_nothing_more() {
    play(|scene| async move {
        named(&scene, ms(300));
        let proxy = scene.open_proxy(simple(&[at(UP1, 9080)]));
        let early = amid(&scene, || {
            proxy.put_in_force(simple(&[at(UP2, 9080)]), None)
        })
        .await;
        assert_eq!(early.body, UP1);
        for _ in 0..4 {
            assert_eq!(scene.get("/").await.body, UP2);
        }
        assert!(
            scene
                .requests()
                .iter()
                .all(|request| request.flags.to_string() == "-")
        );
    });
}

#[test]
fn all_hosts_leave_and_come_back() {
    play(|scene| async move {
        named(&scene, ms(300));
        let proxy = scene.open_proxy(simple(&[at(UP1, 9080)]));
        let early = amid(&scene, || proxy.put_in_force(simple(&[]), None)).await;
        assert_eq!(early.body, UP1);
        assert_eq!(scene.get("/").await.body, "no healthy upstream");
        proxy.put_in_force(simple(&[at(UP1, 9080)]), None);
        assert_eq!(scene.get("/").await.body, UP1);
    });
}

fn split(weights: [u32; 2]) -> Table {
    let [reviews, other] = weights;
    let targets = vec![
        WeightedCluster::new(REVIEWS, reviews),
        WeightedCluster::new(OTHER, other),
    ];
    let action = RouteAction::new(targets).unwrap();
    let clusters = vec![
        cluster(REVIEWS, &[at(UP1, 9080)]),
        cluster(OTHER, &[at(UP2, 9080)]),
    ];
    outbound(RouteActionKind::Forward(action), clusters)
}

#[test]
fn weights_that_change_count_from_the_next_request_on() {
    play(|scene| async move {
        named(&scene, ms(300));
        let proxy = scene.open_proxy(split([1, 0]));
        let early = amid(&scene, || proxy.put_in_force(split([0, 1]), None)).await;
        assert_eq!(early.body, UP1);
        assert_eq!(scene.get("/").await.body, UP2);
        proxy.put_in_force(split([3, 1]), None);
        let mut first = 0;
        for _ in 0..200 {
            first += u32::from(scene.get("/").await.body == UP1);
        }
        // For 200 draws with a probability of three quarters, four standard deviations are 24.5.
        assert!((126..=174).contains(&first), "{first}");
    });
}

#[test]
fn a_request_goes_on_by_the_route_that_it_began_with() {
    play(|scene| async move {
        named(&scene, ms(300));
        let bounded = |span| {
            let mut action = to(REVIEWS);
            action.timeout = Some(span);
            outbound(
                RouteActionKind::Forward(action),
                vec![cluster(REVIEWS, &[at(UP1, 9080)])],
            )
        };
        let proxy = scene.open_proxy(bounded(ms(5_000)));
        let early = amid(&scene, || proxy.put_in_force(bounded(ms(50)), None)).await;
        assert_eq!(early.status, 200);
        assert_eq!(scene.get("/").await.status, 504);
    });
}

#[test]
fn a_host_that_joins_comes_to_its_share_slowly() {
    play(|scene| async move {
        named(&scene, Duration::ZERO);
        let slow = SlowStart {
            window: Duration::from_secs(10),
            aggression: 1.0,
            min_weight: 0.1,
        };
        let table = |hosts: &[&str]| {
            let hosts: Vec<_> = hosts.iter().map(|host| at(host, 9080)).collect();
            let mut cluster = cluster(REVIEWS, &hosts);
            cluster.lb = LbPolicy::RoundRobin(RoundRobin {
                slow_start: Some(slow),
            });
            outbound(RouteActionKind::Forward(to(REVIEWS)), vec![cluster])
        };
        let proxy = scene.open_proxy(table(&[UP1]));
        let env = scene.env(CALLER);
        env.sleep(Duration::from_secs(20)).await;
        proxy.put_in_force(table(&[UP1, UP2]), None);
        let joined = env.now();
        let shares = Rc::new(RefCell::new(Vec::new()));
        for half in 1..=3 {
            let (mut of_new, mut all) = (0, 0);
            while env.now() < joined + Duration::from_secs(5) * half {
                of_new += u32::from(scene.get("/").await.body == UP2);
                all += 1;
                env.sleep(ms(10)).await;
            }
            shares.borrow_mut().push(of_new * 1_000 / all);
        }
        // The expected value is the mean of w / (1 + w), where w is the elapsed share of the window and at least a
        // tenth: 198 and 425 per thousand. After the window it is a half.
        let shares = shares.take();
        assert!((185..=211).contains(&shares[0]), "{shares:?}");
        assert!((410..=440).contains(&shares[1]), "{shares:?}");
        assert!((495..=505).contains(&shares[2]), "{shares:?}");
    });
}
