//! The world outside, as a test says it is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use portcullis_service::fetch::{Fetch, FetchAnswer, FetchError, FetchFuture, FetchRequest};

/// A way out that answers what it was told to, and fails for everything else.
#[derive(Default)]
pub struct Outside {
    txt: Mutex<HashMap<String, Vec<String>>>,
    answers: Mutex<HashMap<String, FetchAnswer>>,
    asked: Mutex<Vec<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outside {
    /// The TXT records at a name from now on.
    pub fn set_txt(&self, name: &str, records: &[&str]) {
        let records = records.iter().map(|r| (*r).to_owned()).collect();
        locked(&self.txt).insert(name.to_owned(), records);
    }

    /// The answer at a URL from now on, whatever the method.
    pub fn set_answer(&self, url: &str, status: u16, body: &[u8]) {
        let answer = FetchAnswer { status, headers: Vec::new(), body: body.to_vec() };
        locked(&self.answers).insert(url.to_owned(), answer);
    }

    /// Every URL and name that was asked for, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        locked(&self.asked).clone()
    }
}

impl Fetch for Outside {
    fn fetch(&self, request: FetchRequest) -> FetchFuture<'_, FetchAnswer> {
        let url = request.url.to_string();
        locked(&self.asked).push(url.clone());
        let answer = locked(&self.answers).get(&url).cloned();
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let nobody = FetchError::Unreachable { host, why: "nobody answers in this test".to_owned() };
        Box::pin(async move { answer.ok_or(nobody) })
    }

    fn txt_records(&self, name: &str) -> FetchFuture<'_, Vec<String>> {
        locked(&self.asked).push(name.to_owned());
        let records = locked(&self.txt).get(name).cloned().unwrap_or_default();
        Box::pin(async move { Ok(records) })
    }
}
