//! Where a reading is, and what serde called an error on its way through the library.
//!
//! It lies beside the library, which knows neither.

use std::cell::{Cell, RefCell};

use portcullis_service::mask::shown;

use super::Fault;

/// How many steps of a place are said: more than any value of ours is deep.
const MAX_STEPS: usize = 8;

/// How what is read says its numbers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// As such.
    Json,
    /// As texts, like everything else.
    Query,
}

/// One step to a value.
#[derive(Debug)]
pub(super) enum Step {
    Field(String),
    /// Of a list; `None` until one is asked for.
    Item(Option<usize>),
}

/// What lies beside whoever reads: what serde called an error that is on its way through the library, which knows its own kind
/// only, and where the reading is.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) form: Form,
    pub(super) fault: Cell<Option<Fault>>,
    place: RefCell<Vec<Step>>,
}

impl Notes {
    pub(super) const fn of(form: Form) -> Self {
        Self { form, fault: Cell::new(None), place: RefCell::new(vec![]) }
    }

    pub(super) fn enter(&self, step: Step) {
        self.place.borrow_mut().push(step);
    }

    /// Back from what was read: an error stays where it is.
    pub(super) fn leave<T, E>(&self, read: &Result<T, E>) {
        if read.is_ok() {
            self.place.borrow_mut().pop();
        }
    }

    /// On to the next item of a list.
    pub(super) fn go_on(&self) {
        if let Some(Step::Item(at)) = self.place.borrow_mut().last_mut() {
            *at = Some(at.map_or(0, |before| before + 1));
        }
    }

    /// Words with the place in front of them, which is nothing for the whole.
    pub(super) fn placed(&self, words: &str) -> String {
        let mut place = String::new();
        for step in self.place.borrow().iter().take(MAX_STEPS) {
            match step {
                Step::Field(name) if place.is_empty() => place = shown(name),
                Step::Field(name) => place = format!("{place}.{}", shown(name)),
                Step::Item(Some(at)) => place = format!("{place}[{at}]"),
                Step::Item(None) => {}
            }
        }
        if place.is_empty() { words.to_owned() } else { format!("`{place}`: {words}") }
    }
}
