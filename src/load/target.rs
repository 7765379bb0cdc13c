//! The target of a load, as given on the command line.

/// The target of a load: `users=http://localhost:8080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetOverride {
    /// The load's name; `None` is the scenario's only load.
    pub load: Option<String>,
    /// The server. A path in it is prepended to each entry's path.
    pub url: String,
}

impl std::str::FromStr for TargetOverride {
    type Err = String;

    fn from_str(text: &str) -> Result<TargetOverride, String> {
        let (load, url) = match text.split_once('=') {
            // The equals sign is part of the URL.
            _ if text.starts_with("http://") || text.starts_with("https://") => (None, text),
            Some((load, url)) if !load.is_empty() => (Some(load.to_owned()), url),
            _ => return Err("expected LOAD=URL, such as `users=http://localhost:8080`".to_owned()),
        };
        Ok(TargetOverride {
            load,
            url: url.to_owned(),
        })
    }
}
