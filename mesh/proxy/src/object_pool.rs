//! A pool of reusable objects, which saves an allocation per request.

use std::cell::RefCell;
use std::fmt;

/// The most idle objects kept. Others are dropped when they are returned.
const KEPT_MAX: usize = 256;

/// Idle objects of one type.
pub(crate) struct ObjectPool<T>(RefCell<Vec<T>>);

impl<T> ObjectPool<T> {
    /// Takes an idle object; `None` if there is none.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.borrow_mut().pop()
    }

    /// Returns an object for reuse.
    pub(crate) fn put(&self, spare: T) {
        let mut kept = self.0.borrow_mut();
        if kept.len() < KEPT_MAX {
            kept.push(spare);
        }
    }
}

impl<T> Default for ObjectPool<T> {
    fn default() -> ObjectPool<T> {
        ObjectPool(RefCell::default())
    }
}

impl<T> fmt::Debug for ObjectPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Spares")
            .field(&self.0.borrow().len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returned_objects_are_reused_and_at_most_the_bound_is_kept() {
        let spares = ObjectPool::default();
        assert_eq!(spares.take(), None);
        (0..KEPT_MAX + 7).for_each(|number| spares.put(number));
        assert_eq!(spares.take(), Some(KEPT_MAX - 1));
        let rest = std::iter::from_fn(|| spares.take());
        assert_eq!(rest.count(), KEPT_MAX - 1);
    }
}
