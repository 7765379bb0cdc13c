//! Tests that every output reports outlier detections that could not eject, which Envoy counts as `ejections_overflow`.

use serde_json::Value;

use crate::command::{folder, shakedown};

#[test]
fn detections_beyond_the_maximum_ejection_percentage_are_reported() {
    let folder = folder("ejections");
    let (json, html) = (folder.join("run.json"), folder.join("run.html"));
    let journal = folder.join("run.jsonl");
    let args = |variant: &'static str| {
        vec![
            "run",
            "outlier-ejection",
            "--variant",
            variant,
            "--scale",
            "10",
            "--json",
            json.to_str().unwrap(),
            "--html",
            html.to_str().unwrap(),
            "--journal",
            journal.to_str().unwrap(),
        ]
    };
    // One of nine pods is more than 10%.
    let ran = shakedown(&args("nine"));
    let document: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let rows = document["ejection_overflows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = &rows[0];
    assert_eq!(
        (&row["source"], &row["destination"]),
        (&"web".into(), &"api".into())
    );
    assert_eq!(row["pods"], 1);
    let journal = std::fs::read_to_string(&journal).unwrap();
    let events: Vec<Value> = journal
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].take())
        .collect();
    let count_of =
        |is: &dyn Fn(&Value) -> bool| events.iter().filter(|event| is(event)).count() as u64;
    let overflows =
        |by: &str| count_of(&|event| event["kind"] == "ejection-overflow" && event["by"] == by);
    let failures =
        count_of(&|event| event["kind"] == "attempt" && event["outcome"]["status"] == 503);
    // The pod answers only 503 while it fails, so every fifth consecutive failure is a detection of both kinds.
    assert_eq!(overflows("consecutive-5xx"), failures / 5);
    assert_eq!(overflows("consecutive-gateway-failure"), failures / 5);
    let count = row["count"].as_u64().unwrap();
    assert_eq!(
        count,
        count_of(&|event| event["kind"] == "ejection-overflow")
    );
    assert!(count > 10, "{count}");
    let within = |key: &str| (6_000_000_000..12_100_000_000).contains(&row[key].as_i64().unwrap());
    assert!(within("from_ns") && within("to_ns"), "{row}");
    let sentence = format!(
        "outlier detection web -> api: {count} detections could not eject 1 pod, because maxEjectionPercent was reached"
    );
    assert!(ran.stdout.contains(&sentence), "{}", ran.stdout);
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains(&sentence.replace("->", "-&gt;")));
    assert!(page.contains("No pod was ejected"));
    // The ejection of one pod in ten is within the limit, so no detection overflows.
    let ran = shakedown(&args("base"));
    assert!(!ran.stdout.contains("could not eject"), "{}", ran.stdout);
    assert!(
        !std::fs::read_to_string(&json)
            .unwrap()
            .contains("ejection_overflows")
    );
}
