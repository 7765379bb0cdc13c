//! The reasons why a DestinationRule has no effect.

use shakedown_istio::registry::Hostname;

use super::{RuleDocument, RuleVisibility, Rules, chosen, export_of, is_shown_to};
use crate::caller::Caller;

/// The reason why a rule for a host has no effect for a caller of that host.
#[derive(Clone, Copy, Debug)]
pub enum Idle<'a> {
    /// The rule's namespace is neither the caller's, nor the service's, nor the root namespace.
    Elsewhere,
    /// Not exported to the caller's namespace.
    Hidden,
    /// The rule's selector requires labels that the caller does not have.
    NotSelected,
    /// Superseded by a rule of a namespace that is searched earlier.
    Nearer(RuleDocument<'a>),
    /// Superseded by a rule of a namespace that is searched earlier, although that rule does not select the caller.
    /// Source: Istio, `PushContext.destinationRule`.
    Shadowed(RuleDocument<'a>),
    /// Superseded by a rule of the same namespace with a more specific host, even if the caller does not see that
    /// rule.
    Narrower(RuleDocument<'a>),
    /// Superseded by a rule of the same namespace that selects the caller.
    Selected(RuleDocument<'a>),
    /// Superseded by a younger rule of the same namespace with a different `exportTo`.
    Apart(RuleDocument<'a>),
    /// Merged into a rule of the same namespace that does not apply to the caller.
    MergedAway(RuleDocument<'a>),
}

impl<'a> Rules<'a> {
    /// Returns the reason why a rule has no effect for a caller of a service in `namespace`, or `None` if it applies.
    pub fn why_idle(
        &self,
        rule: RuleDocument<'a>,
        caller: &Caller,
        host: &Hostname,
        namespace: &str,
    ) -> Option<Idle<'a>> {
        let is_it = |other: &RuleDocument<'a>| std::ptr::eq(*other, rule);
        let searched = self.search_order(&caller.namespace, namespace);
        let own = rule.meta.namespace.as_str();
        let seen = |(of, visibility): &(&str, RuleVisibility)| {
            *of == own
                && self.has_visibility(rule, *visibility)
                && (*visibility != RuleVisibility::Exported
                    || is_shown_to(&export_of(rule), &caller.namespace))
        };
        let Some(at) = searched.iter().position(seen) else {
            let is_searched = searched.iter().any(|(of, _)| *of == own);
            return Some(if is_searched {
                Idle::Hidden
            } else {
                Idle::Elsewhere
            });
        };
        let groups = |(of, visibility): (&str, RuleVisibility)| {
            self.groups_at(of, visibility, &caller.namespace, host)
        };
        for nearer in &searched[..at] {
            let found = groups(*nearer);
            if let Some(group) = found.first() {
                let used = chosen(&found, Some(caller));
                let first = used.first().copied().map(Idle::Nearer);
                return first.or(Some(Idle::Shadowed(group.from[0])));
            }
        }
        let visible = groups(searched[at]);
        let used = chosen(&visible, Some(caller));
        if used.iter().any(is_it) {
            return None;
        }
        let (of, visibility) = searched[at];
        let all = self.all_groups_at(of, visibility, host);
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
    /// Returns the rule that supersedes this one, if any.
    pub fn by(&self) -> Option<RuleDocument<'a>> {
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

    /// Describes the reason. `by`: the name of [`Idle::by`].
    pub fn because(&self, by: &str, caller: &Caller) -> String {
        let whose = match caller.namespace.as_str() {
            "" => "of other namespaces".to_owned(),
            namespace => format!("in `{namespace}`"),
        };
        match self {
            Idle::Elsewhere => format!(
                "callers {whose} use only rules in their own namespace, the service's namespace and the root namespace"
            ),
            Idle::Hidden => format!("its `exportTo` does not include callers {whose}"),
            Idle::NotSelected => {
                "its `workloadSelector` requires labels that the caller does not have".into()
            }
            Idle::Nearer(_) => format!(
                "{by} takes precedence: the caller's namespace is searched first, then the service's, then the root namespace"
            ),
            Idle::Shadowed(_) => format!(
                "{by} is in the caller's namespace, and Istio searches no other namespace although it does not select the caller"
            ),
            Idle::Narrower(_) => format!("{by} takes precedence: its host is more specific"),
            Idle::Selected(_) => {
                format!("{by} takes precedence: its `workloadSelector` selects the caller")
            }
            Idle::Apart(_) => format!(
                "{by} takes precedence: rules of one namespace are merged only if their `exportTo` is the same; otherwise the youngest applies"
            ),
            Idle::MergedAway(_) => {
                format!("Istio merges it into {by}, which does not apply to this caller")
            }
        }
    }
}
