//! Attributes that wait to be evaluated, for several threads.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard},
};

use super::{FlakeCheckError, Item, Refused, Row};

/// What is still to be evaluated, and what was.
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

pub(super) struct State {
    pub(super) todo: VecDeque<Item>,
    pub(super) running: usize,
    pub(super) rows: Vec<Row>,
    pub(super) refused: Vec<Refused>,
    pub(super) failed: Option<FlakeCheckError>,
}

impl Queue {
    pub(super) fn new(items: Vec<Item>) -> Self {
        let todo = items.into();
        let state = State { todo, running: 0, rows: vec![], refused: vec![], failed: None };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// The next item. Where there is none, one that is being evaluated may bring more.
    pub(super) fn next(&self) -> Option<Item> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.todo.pop_front() {
                state.running += 1;
                return Some(item);
            }
            if state.running == 0 {
                return None;
            }
            state = self.changed.wait(state).expect("no holder of this lock panics");
        }
    }

    /// Lets everybody look again who waits for an item.
    pub(super) fn wake(&self) {
        self.changed.notify_all();
    }

    pub(super) fn into_state(self) -> State {
        self.state.into_inner().expect("no holder of this lock panics")
    }
}
