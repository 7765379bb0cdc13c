//! Included files, and the expanded text of a scenario.

use super::*;

#[test]
fn the_expanded_story_reads_back_as_the_same_story() {
    let (_, text) = catalogue()
        .find(|(name, _)| *name == "header-routing")
        .unwrap();
    let first = read(text);
    let second = read(&first.expanded);
    assert_eq!(first.expanded, second.expanded);
    assert_eq!(first.draw_paths, second.draw_paths);
    assert_eq!(first.mesh.len(), second.mesh.len());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_the_reader_panic(text in "\\PC{0,200}") {
        let _ = load_text("f.yaml", &text, &Edits::default());
    }

    /// Cuts and insertions in a valid file reach much more of the reader than random text does.
    #[test]
    fn no_damaged_story_makes_the_reader_panic(cut in 0usize..1500, len in 0usize..60, with in "[ {}\\[\\]:,*a0%/-]{0,6}", which in 0usize..5) {
        let (_, text) = catalogue().nth(which).unwrap();
        let mut damaged: Vec<char> = text.chars().collect();
        let start = cut.min(damaged.len());
        let end = (start + len).min(damaged.len());
        damaged.splice(start..end, with.chars());
        let damaged: String = damaged.into_iter().collect();
        let _ = load_text("f.yaml", &damaged, &Edits::default());
    }
}

/// A temporary folder for one test, removed when dropped.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Folder {
        let folder = std::env::temp_dir().join(format!("shakedown-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (file, content) in files {
            std::fs::write(folder.join(file), content).unwrap();
        }
        Folder(folder)
    }

    fn load(&self) -> Result<crate::scenario::ResolvedScenario, LoadError> {
        crate::load(
            self.0.join("story.yaml").to_str().unwrap(),
            &Edits::default(),
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const RULE: &str = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api}
spec:
  host: api
";

#[test]
fn included_files_are_part_of_the_story() {
    let text = small_scenario("mesh: [{file: api.yaml}, {patch: DestinationRule/api, with: {spec: {trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}}}]\n")
        .replace("exp(2ms)", "empirical(file lat.csv)");
    let folder = Folder::new(
        "included",
        &[
            ("story.yaml", &text),
            ("api.yaml", RULE),
            ("lat.csv", "1ms\n3ms\n"),
        ],
    );
    let scenario = folder.load().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.mesh.len(), 1);
    assert!(
        scenario.expanded.contains("kind: DestinationRule")
            && scenario.expanded.contains("ROUND_ROBIN")
    );
    assert!(
        scenario.expanded.contains("lat.csv"),
        "{}",
        scenario.expanded
    );
    assert!(!scenario.expanded.contains("file: api.yaml"));
}

#[test]
fn an_error_in_an_included_file_names_both_places() {
    let rule = format!("{RULE}  trafficPolicy: {{loadBalancr: {{}}}}\n");
    let folder = Folder::new(
        "both-places",
        &[
            ("story.yaml", &small_scenario("mesh: [{file: api.yaml}]\n")),
            ("api.yaml", &rule),
        ],
    );
    let lines = folder.load().unwrap_err().to_string();
    let (place, message) = lines.split_once(": ").unwrap();
    assert!(place.ends_with("api.yaml:6:19"), "{lines}");
    assert!(message.starts_with("(from "), "{lines}");
    let wanted = "story.yaml:12) DestinationRule api: unknown field `loadBalancr`: did you mean `loadBalancer`?";
    assert!(message.ends_with(wanted), "{lines}");
    let folder = Folder::new(
        "missing",
        &[("story.yaml", &small_scenario("mesh: [{file: gone.yaml}]\n"))],
    );
    let lines = folder.load().unwrap_err().to_string();
    assert!(
        lines.contains("story.yaml:12:15: cannot read `gone.yaml`: "),
        "{lines}"
    );
}

#[test]
fn what_the_mesh_makes_of_an_included_file_names_both_places_too() {
    let route = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api}
spec: {hosts: [api], http: [{route: [{destination: {host: api}, weight: -1}]}]}
";
    let folder = Folder::new(
        "whole-mesh",
        &[
            ("story.yaml", &small_scenario("mesh: [{file: api.yaml}]\n")),
            ("api.yaml", route),
        ],
    );
    let lines = folder.load().unwrap_err().to_string();
    assert!(
        lines.contains("api.yaml:4:") && lines.contains("(from "),
        "{lines}"
    );
}
