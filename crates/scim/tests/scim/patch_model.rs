//! PATCH of a user against a naive model: a title, two parts of a name and a list of addresses, in every spelling.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::wire::{attributes, patched, user};

/// One operation, and what it means to a naive reader.
#[derive(Debug, Clone)]
enum Step {
    SetTitle(String, Spelling),
    RemoveTitle,
    SetGiven(String, Spelling),
    SetFamily(String, Spelling),
    RemoveGiven,
    RemoveName,
    AddEmail(String, &'static str),
    ReplaceEmails(Vec<(String, &'static str)>),
    RemoveEmails,
    RemoveType(&'static str, Spelling),
    RemoveValue(String),
    SetOfType(&'static str, String, Spelling),
}

/// How an operation is written.
#[derive(Debug, Clone, Copy)]
enum Spelling {
    Path,
    Capitals,
    Whole,
    Qualified,
}

/// What a naive reader keeps.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    title: Option<String>,
    given: Option<String>,
    family: Option<String>,
    emails: Vec<(String, &'static str)>,
}

const URN: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// An assignment of one attribute in some spelling.
fn assign(path: &str, value: &str, spelling: Spelling) -> Value {
    match spelling {
        Spelling::Path => json!({"op": "replace", "path": path, "value": value}),
        Spelling::Capitals => json!({"op": "Add", "path": path.to_uppercase(), "value": value}),
        Spelling::Whole => json!({"op": "add", "value": {path: value}}),
        Spelling::Qualified => json!({"op": "Replace", "path": format!("{URN}:{path}"), "value": [value]}),
    }
}

impl Step {
    fn wire(&self) -> Value {
        match self {
            Self::SetTitle(text, spelling) => assign("title", text, *spelling),
            Self::SetGiven(text, spelling) => assign("name.givenName", text, *spelling),
            Self::SetFamily(text, Spelling::Whole) => {
                json!({"op": "replace", "value": {"name": {"familyName": text}}})
            }
            Self::SetFamily(text, spelling) => assign("name.familyName", text, *spelling),
            Self::RemoveTitle => json!({"op": "Remove", "path": "title"}),
            Self::RemoveGiven => json!({"op": "remove", "path": "name.givenName"}),
            Self::RemoveName => json!({"op": "remove", "path": "name"}),
            Self::AddEmail(value, kind) => {
                json!({"op": "add", "path": "emails", "value": [{"value": value, "type": kind}]})
            }
            Self::ReplaceEmails(emails) => {
                let emails: Vec<Value> =
                    emails.iter().map(|(value, kind)| json!({"value": value, "type": kind})).collect();
                json!({"op": "replace", "path": "emails", "value": emails})
            }
            Self::RemoveEmails => json!({"op": "remove", "path": "emails"}),
            Self::RemoveType(kind, Spelling::Path | Spelling::Whole) => {
                json!({"op": "remove", "path": format!("emails[type eq \"{kind}\"]")})
            }
            Self::RemoveType(kind, _) => {
                json!({"op": "Remove", "path": format!("emails[type eq \"{kind}\"].value")})
            }
            Self::RemoveValue(value) => {
                json!({"op": "remove", "path": "emails", "value": [{"value": value}]})
            }
            Self::SetOfType(kind, value, Spelling::Whole) => {
                json!({"op": "replace", "value": {(format!("emails[type eq \"{kind}\"].value")): value}})
            }
            Self::SetOfType(kind, value, _) => {
                json!({"op": "Replace", "path": format!("emails[type eq \"{kind}\"].value"), "value": value})
            }
        }
    }

    fn apply(&self, model: &mut Model) {
        match self {
            Self::SetTitle(text, _) => model.title = Some(text.clone()),
            Self::SetGiven(text, _) => model.given = Some(text.clone()),
            Self::SetFamily(text, _) => model.family = Some(text.clone()),
            Self::RemoveTitle => model.title = None,
            Self::RemoveGiven => model.given = None,
            Self::RemoveName => (model.given, model.family) = (None, None),
            Self::AddEmail(value, kind) => {
                if !model.emails.contains(&(value.clone(), kind)) {
                    model.emails.push((value.clone(), kind));
                }
            }
            Self::ReplaceEmails(emails) => model.emails.clone_from(emails),
            Self::RemoveEmails => model.emails.clear(),
            Self::RemoveType(kind, _) => model.emails.retain(|(_, own)| own != kind),
            Self::RemoveValue(value) => model.emails.retain(|(own, _)| own != value),
            Self::SetOfType(kind, value, _) => {
                if model.emails.iter().all(|(_, own)| own != kind) {
                    model.emails.push((value.clone(), kind));
                }
                for (own, _) in model.emails.iter_mut().filter(|(_, own)| own == kind) {
                    own.clone_from(value);
                }
            }
        }
    }
}

impl Model {
    /// The user as it should be stored.
    fn stored(&self) -> Map<String, Value> {
        let mut stored = Map::from_iter([("userName".to_owned(), json!("a"))]);
        if let Some(title) = &self.title {
            stored.insert("title".to_owned(), json!(title));
        }
        let parts = [("givenName", &self.given), ("familyName", &self.family)];
        let name: Map<String, Value> = parts
            .into_iter()
            .filter_map(|(key, part)| Some((key.to_owned(), json!(part.as_ref()?))))
            .collect();
        if !name.is_empty() {
            stored.insert("name".to_owned(), Value::Object(name));
        }
        if !self.emails.is_empty() {
            let emails: Vec<Value> =
                self.emails.iter().map(|(value, kind)| json!({"value": value, "type": kind})).collect();
            stored.insert("emails".to_owned(), emails.into());
        }
        stored
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let spelling = || {
        prop::sample::select(vec![Spelling::Path, Spelling::Capitals, Spelling::Whole, Spelling::Qualified])
    };
    let text = || "[abc]{1,2}";
    let kind = || prop::sample::select(vec!["work", "home"]);
    let step = prop_oneof![
        (text(), spelling()).prop_map(|(text, spelling)| Step::SetTitle(text, spelling)),
        Just(Step::RemoveTitle),
        (text(), spelling()).prop_map(|(text, spelling)| Step::SetGiven(text, spelling)),
        (text(), spelling()).prop_map(|(text, spelling)| Step::SetFamily(text, spelling)),
        Just(Step::RemoveGiven),
        Just(Step::RemoveName),
        (text(), kind()).prop_map(|(value, kind)| Step::AddEmail(value, kind)),
        prop::collection::vec((text(), kind()), 0..3).prop_map(Step::ReplaceEmails),
        Just(Step::RemoveEmails),
        (kind(), spelling()).prop_map(|(kind, spelling)| Step::RemoveType(kind, spelling)),
        text().prop_map(Step::RemoveValue),
        (kind(), text(), spelling())
            .prop_map(|(kind, value, spelling)| Step::SetOfType(kind, value, spelling)),
    ];
    prop::collection::vec(step, 1..12)
}

proptest! {
    #[test]
    fn a_patch_of_a_user_does_what_a_naive_reader_expects(steps in steps(), cut in 0..12_usize) {
        let mut model = Model::default();
        steps.iter().for_each(|step| step.apply(&mut model));
        let operations: Vec<Value> = steps.iter().map(Step::wire).collect();
        let before = user(&json!({"userName": "a"}));
        let after = patched(&before, &operations.clone().into());
        prop_assert_eq!(attributes(&after), Value::Object(model.stored()), "{:?}", operations);
        let (one, two) = operations.split_at(cut.min(operations.len()));
        let in_two = [one, two].into_iter().filter(|part| !part.is_empty()).fold(before, |user, part| {
            patched(&user, &Value::from(part.to_vec()))
        });
        prop_assert_eq!(in_two, after, "one call or two");
    }
}
