//! The catalogue of scenarios that are compiled into the program.

/// Returns the name and text of every scenario, in alphabetical order.
pub fn catalogue() -> impl Iterator<Item = (&'static str, &'static str)> {
    SCENARIOS.iter().copied()
}

const SCENARIOS: [(&str, &str); 15] = [
    (
        "bad-canary-rolls-back",
        include_str!("../bad-canary-rolls-back.yaml"),
    ),
    ("canary-decides", include_str!("../canary-decides.yaml")),
    (
        "canary-in-a-minute",
        include_str!("../canary-in-a-minute.yaml"),
    ),
    ("crash-fail-over", include_str!("../crash-fail-over.yaml")),
    ("fan-out-hedged", include_str!("../fan-out-hedged.yaml")),
    (
        "hanging-dependency",
        include_str!("../hanging-dependency.yaml"),
    ),
    ("header-routing", include_str!("../header-routing.yaml")),
    ("outlier-ejection", include_str!("../outlier-ejection.yaml")),
    ("partition-heals", include_str!("../partition-heals.yaml")),
    ("pause-backlog", include_str!("../pause-backlog.yaml")),
    (
        "retry-amplification",
        include_str!("../retry-amplification.yaml"),
    ),
    ("retry-storm", include_str!("../retry-storm.yaml")),
    ("shed-overload", include_str!("../shed-overload.yaml")),
    ("theory-mm1", include_str!("../theory-mm1.yaml")),
    ("zone-loss", include_str!("../zone-loss.yaml")),
];
