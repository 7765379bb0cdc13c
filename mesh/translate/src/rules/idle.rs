//! Why a DestinationRule has no say.

use shakedown_istio::registry::Hostname;

use super::{Rules, Shelf, Written, chosen, export_of, is_shown_to};
use crate::Caller;

/// Why a rule that has a host has no say for a caller of it.
#[derive(Clone, Copy, Debug)]
pub enum Idle<'a> {
    /// Its namespace is neither the caller's, nor the service's, nor the root namespace.
    Elsewhere,
    /// It is not for the caller's namespace.
    Hidden,
    /// It asks for labels that the caller does not have.
    NotSelected,
    /// One of a namespace that is looked at before its own.
    Nearer(Written<'a>),
    /// One of such a namespace that does not select the caller. Source: Istio, `PushContext.destinationRule`.
    Shadowed(Written<'a>),
    /// One of its namespace with a more specific host, seen by the caller or not.
    Narrower(Written<'a>),
    /// One of its namespace that selects the caller.
    Selected(Written<'a>),
    /// One of its namespace that has another `exportTo` and is younger.
    Apart(Written<'a>),
    /// It has gone into one of its namespace that is not for the caller.
    MergedAway(Written<'a>),
}

impl<'a> Rules<'a> {
    /// Why a rule has no say for a caller of a service of a namespace; `None` if it has.
    pub fn why_idle(
        &self,
        rule: Written<'a>,
        caller: &Caller,
        host: &Hostname,
        namespace: &str,
    ) -> Option<Idle<'a>> {
        let is_it = |other: &Written<'a>| std::ptr::eq(*other, rule);
        let places = self.places(&caller.namespace, namespace);
        let own = rule.meta.namespace.as_str();
        let seen = |(of, shelf): &(&str, Shelf)| {
            *of == own
                && self.is_on(rule, *shelf)
                && (*shelf != Shelf::Exported || is_shown_to(&export_of(rule), &caller.namespace))
        };
        let Some(at) = places.iter().position(seen) else {
            let looked_at = places.iter().any(|(of, _)| *of == own);
            return Some(if looked_at {
                Idle::Hidden
            } else {
                Idle::Elsewhere
            });
        };
        let groups =
            |(of, shelf): (&str, Shelf)| self.groups_at(of, shelf, &caller.namespace, host);
        for nearer in &places[..at] {
            let found = groups(*nearer);
            if let Some(group) = found.first() {
                let used = chosen(&found, Some(caller));
                let first = used.first().copied().map(Idle::Nearer);
                return first.or(Some(Idle::Shadowed(group.from[0])));
            }
        }
        let visible = groups(places[at]);
        let used = chosen(&visible, Some(caller));
        if used.iter().any(is_it) {
            return None;
        }
        let (of, shelf) = places[at];
        let all = self.all_groups_at(of, shelf, host);
        let Some(home) = all.iter().find(|group| group.from.iter().any(is_it)) else {
            let hidden = || Some(all.first()?.from[0]);
            return used.first().copied().or_else(hidden).map(Idle::Narrower);
        };
        let first = home.from[0];
        let is_general = rule.spec.workload_selector.is_none();
        Some(match (used.first(), is_general) {
            (_, false) if !home.selects(caller) => Idle::NotSelected,
            (Some(used), _) if used.spec.workload_selector.is_some() => Idle::Selected(used),
            (_, true) if !std::ptr::eq(first, rule) && home.selector.is_some() => {
                Idle::MergedAway(first)
            }
            (Some(used), _) => Idle::Apart(used),
            (None, _) => Idle::MergedAway(first),
        })
    }
}

impl<'a> Idle<'a> {
    /// The rule that leaves it nothing to say, where one does.
    pub fn by(&self) -> Option<Written<'a>> {
        match *self {
            Idle::Elsewhere | Idle::Hidden | Idle::NotSelected => None,
            Idle::Nearer(by)
            | Idle::Shadowed(by)
            | Idle::Narrower(by)
            | Idle::Selected(by)
            | Idle::Apart(by)
            | Idle::MergedAway(by) => Some(by),
        }
    }

    /// The reason in words; `by`: the name of [`Idle::by`].
    pub fn because(&self, by: &str, caller: &Caller) -> String {
        let whose = match caller.namespace.as_str() {
            "" => "of other namespaces".to_owned(),
            namespace => format!("in `{namespace}`"),
        };
        match self {
            Idle::Elsewhere => format!(
                "callers {whose} look for rules in their own namespace, the service's and the root namespace alone"
            ),
            Idle::Hidden => format!("its `exportTo` does not show it to callers {whose}"),
            Idle::NotSelected => {
                "its `workloadSelector` asks for labels that the caller does not have".into()
            }
            Idle::Nearer(_) => format!(
                "{by} goes before it: the caller's namespace comes first, then the service's, then the root namespace"
            ),
            Idle::Shadowed(_) => format!(
                "{by} is of the caller's namespace, and though it does not select the caller, Istio looks no further"
            ),
            Idle::Narrower(_) => format!("{by} goes before it: its host is more specific"),
            Idle::Selected(_) => {
                format!("{by} goes before it: its `workloadSelector` selects the caller")
            }
            Idle::Apart(_) => format!(
                "{by} goes before it: rules of one namespace merge only where their `exportTo` is the same, and of others the \
                 youngest counts"
            ),
            Idle::MergedAway(_) => {
                format!("Istio merges it into {by}, which is not for this caller")
            }
        }
    }
}
