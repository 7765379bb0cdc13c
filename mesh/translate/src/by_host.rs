//! Documents by host. Exact hosts take precedence over wildcards.

use std::collections::BTreeMap;

use shakedown_istio::Resource;
use shakedown_istio::registry::Hostname;

/// Documents of one kind. Those of each host are in insertion order.
pub(super) struct ByHost<'a, T> {
    exact: BTreeMap<Hostname, Vec<&'a Resource<T>>>,
    /// Longest first, because the most specific wildcard applies.
    wild: Vec<(Hostname, Vec<&'a Resource<T>>)>,
}

impl<T> Default for ByHost<'_, T> {
    fn default() -> Self {
        ByHost {
            exact: BTreeMap::new(),
            wild: Vec::new(),
        }
    }
}

impl<'a, T> ByHost<'a, T> {
    pub(super) fn insert(&mut self, host: Hostname, resource: &'a Resource<T>) {
        if !host.is_wildcard() {
            self.exact.entry(host).or_default().push(resource);
            return;
        }
        match self.wild.iter_mut().find(|(known, _)| *known == host) {
            Some((_, resources)) => resources.push(resource),
            None => {
                let longer =
                    |(known, _): &(Hostname, _)| known.as_str().len() >= host.as_str().len();
                let at = self.wild.partition_point(longer);
                self.wild.insert(at, (host, vec![resource]));
            }
        }
    }

    /// Returns the documents of the host itself, else those of the most specific wildcard that covers it.
    pub(super) fn for_host(&self, host: &Hostname) -> &[&'a Resource<T>] {
        self.over(host).next().unwrap_or_default()
    }

    /// Returns the documents of the host itself, then those of each wildcard that covers it, the most specific first.
    pub(super) fn over(&self, host: &Hostname) -> impl Iterator<Item = &[&'a Resource<T>]> {
        let wild = self.wild.iter().filter(move |(wild, _)| wild.covers(host));
        let exact = self.exact.get(host).into_iter();
        exact.chain(wild.map(|(_, found)| found)).map(Vec::as_slice)
    }

    /// Returns the documents of hosts that are not wildcards.
    pub(super) fn exact(&self) -> impl Iterator<Item = (&Hostname, &[&'a Resource<T>])> {
        self.exact
            .iter()
            .map(|(host, found)| (host, found.as_slice()))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &'a Resource<T>> {
        let wild = self.wild.iter().map(|(_, found)| found);
        self.exact.values().chain(wild).flatten().copied()
    }
}
