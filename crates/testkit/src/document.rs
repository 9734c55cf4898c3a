//! What the OpenAPI document says that a call may be answered: whatever a test asks of the administration API is held
//! against it, so that no row forgets a status or a code.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use portcullis_web::openapi::{MOUNTED_AT, document};
use serde_json::Value;

use crate::Exchange;

/// Where there is no row: no such path, or not by that method.
const OF_NO_ROW: [u16; 3] = [404, 405, 421];
/// What any call may be answered and the document says of none: too slow, to another host, a fault of ours; or a path is that of
/// another row, which does not take the method.
const OF_ANY_ROW: [u16; 4] = [405, 408, 421, 500];

/// What one row may answer.
struct Row {
    method: String,
    path: Vec<String>,
    answers: BTreeMap<u16, BTreeSet<String>>,
}

impl Row {
    /// How many names of a path are its own; `None` if it is no path of this row.
    fn fits(&self, method: &str, path: &[&str]) -> Option<usize> {
        let is_name = |own: &str| own.starts_with('{');
        let fits = self.method == method
            && self.path.len() == path.len()
            && self.path.iter().zip(path).all(|(own, named)| is_name(own) || own == named);
        fits.then(|| self.path.iter().filter(|own| !is_name(own)).count())
    }
}

fn rows() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let document = document(&portcullis_web::api::operations());
        let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
        let described = paths.flat_map(|(path, methods)| {
            methods.as_object().into_iter().flatten().map(move |(method, row)| (path, method, row))
        });
        described.map(|(path, method, row)| row_of(path, method, row)).collect()
    })
}

fn text_of<'v>(of: &'v Value, key: &str) -> &'v str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn row_of(path: &str, method: &str, described: &Value) -> Row {
    let answers = described.get("responses").and_then(Value::as_object).into_iter().flatten();
    let answers = answers.map(|(status, answer)| {
        let codes = text_of(answer, "description").split('`').skip(1).step_by(2);
        (status.parse().expect("a status"), codes.map(str::to_owned).collect())
    });
    Row {
        method: method.to_uppercase(),
        path: path.split('/').map(str::to_owned).collect(),
        answers: answers.collect(),
    }
}

/// Fails the test if the administration API was asked and the document does not know what it answered.
pub(crate) fn knows(method: &str, called: &str, answer: &Exchange) {
    let Some(below) = called.strip_prefix(MOUNTED_AT).filter(|_| method != "HEAD") else { return };
    let path: Vec<&str> = below.split('?').next().unwrap_or_default().split('/').collect();
    let found = rows().iter().filter_map(|row| Some((row.fits(method, &path)?, row)));
    let status = answer.status.as_u16();
    let Some((_, row)) = found.max_by_key(|(own, _)| *own) else {
        assert!(OF_NO_ROW.contains(&status), "{method} {called} is no row, and was answered {status}");
        return;
    };
    let Some(codes) = row.answers.get(&status) else {
        assert!(
            OF_ANY_ROW.contains(&status),
            "the document knows no {status} of {method} {called}: {}",
            answer.text()
        );
        return;
    };
    if !answer.status.is_success() {
        let refused = answer.json();
        let code = text_of(&refused, "code").to_owned();
        assert!(codes.contains(&code), "the document knows no {status} `{code}` of {method} {called}");
    }
}
