//! PATCH of a user against a naive model: a title, two parts of a name, a list of addresses and a custom extension with
//! a list, in every spelling.

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
    SetCustom(&'static str, String, Spelling),
    SetCustoms(Vec<(&'static str, Option<String>)>),
    RemoveCustom(&'static str, Spelling),
    SetCustomPart(&'static str, String, Spelling),
    SetCustomParts(Vec<(&'static str, Option<String>)>, Spelling),
    RemoveCustoms,
    AddCodes(Vec<String>, Spelling),
    ReplaceCodes(Vec<String>, Spelling),
    RemoveCodes(Vec<String>, Spelling),
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
    /// Attributes of the custom extension, each as it was first spelled.
    customs: Vec<(String, Value)>,
    /// The extension's own name, likewise.
    urn: String,
}

const CUSTOM: &str = "urn:acme:hr:2.0:User";

/// A name as this spelling writes it. Letter case does not distinguish names.
fn spelled(name: &str, spelling: Spelling) -> String {
    match spelling {
        Spelling::Capitals | Spelling::Whole => name.to_uppercase(),
        Spelling::Path | Spelling::Qualified => name.to_owned(),
    }
}

fn custom_urn(spelling: Spelling) -> String {
    match spelling {
        Spelling::Capitals => CUSTOM.to_uppercase(),
        Spelling::Path | Spelling::Whole | Spelling::Qualified => CUSTOM.to_owned(),
    }
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

/// An assignment of a list in the custom extension.
fn assign_codes(op: &str, codes: &[String], spelling: Spelling) -> Value {
    let (urn, name) = (custom_urn(spelling), spelled("codes", spelling));
    match spelling {
        Spelling::Whole => json!({"op": op, "value": {urn: {name: codes}}}),
        Spelling::Qualified => json!({"op": op, "path": urn, "value": {name: codes}}),
        Spelling::Path | Spelling::Capitals => {
            json!({"op": op, "path": format!("{urn}:{name}"), "value": codes})
        }
    }
}

/// An assignment of parts of a value in the custom extension.
fn assign_parts(parts: &[(&str, Option<String>)], spelling: Spelling) -> Value {
    let (urn, name) = (custom_urn(spelling), spelled("cost", spelling));
    let parts: Map<String, Value> =
        parts.iter().map(|(part, text)| (spelled(part, spelling), json!(text))).collect();
    match spelling {
        Spelling::Path | Spelling::Capitals => {
            json!({"op": "Add", "path": format!("{urn}:{name}"), "value": parts})
        }
        Spelling::Whole => json!({"op": "replace", "value": {urn: {name: parts}}}),
        Spelling::Qualified => json!({"op": "replace", "path": urn, "value": {name: parts}}),
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
            Self::SetCustom(name, text, spelling @ Spelling::Whole) => {
                json!({"op": "add", "value": {(CUSTOM): {(spelled(name, *spelling)): text}}})
            }
            Self::SetCustom(name, text, spelling @ Spelling::Qualified) => {
                json!({"op": "replace", "path": CUSTOM, "value": {(spelled(name, *spelling)): text}})
            }
            Self::SetCustom(name, text, spelling) => {
                let path = format!("{}:{}", custom_urn(*spelling), spelled(name, *spelling));
                json!({"op": "add", "path": path, "value": text})
            }
            Self::SetCustoms(values) => {
                let values: Map<String, Value> =
                    values.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
                json!({"op": "replace", "value": {(CUSTOM.to_uppercase()): values}})
            }
            Self::RemoveCustom(name, spelling) => {
                let path = format!("{}:{}", custom_urn(*spelling), spelled(name, *spelling));
                json!({"op": "remove", "path": path})
            }
            Self::SetCustomPart(part, text, spelling) => {
                let path = format!("{}:cost.{}", custom_urn(*spelling), spelled(part, *spelling));
                json!({"op": "add", "path": path, "value": text})
            }
            Self::SetCustomParts(parts, spelling) => assign_parts(parts, *spelling),
            Self::RemoveCustoms => json!({"op": "remove", "path": CUSTOM}),
            Self::AddCodes(codes, spelling) => assign_codes("Add", codes, *spelling),
            Self::ReplaceCodes(codes, spelling) => assign_codes("replace", codes, *spelling),
            Self::RemoveCodes(codes, spelling) => {
                let path = format!("{}:{}", custom_urn(*spelling), spelled("codes", *spelling));
                let named: Vec<Value> = match spelling {
                    Spelling::Qualified => codes.iter().map(|code| json!({"value": code})).collect(),
                    _ => codes.iter().map(|code| json!(code)).collect(),
                };
                json!({"op": "remove", "path": path, "value": named})
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
            Self::ReplaceEmails(emails) => {
                model.emails.clear();
                for email in emails {
                    if !model.emails.contains(email) {
                        model.emails.push(email.clone());
                    }
                }
            }
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
            Self::SetCustom(name, text, spelling) => {
                model.set_custom(&custom_urn(*spelling), &spelled(name, *spelling), Some(json!(text)));
            }
            Self::SetCustoms(values) => {
                let urn = if model.customs.is_empty() { CUSTOM.to_uppercase() } else { model.urn.clone() };
                for (name, text) in values {
                    model.set_custom(&urn, name, text.clone().map(Value::from));
                }
            }
            Self::RemoveCustom(name, _) => model.set_custom(CUSTOM, name, None),
            Self::SetCustomPart(part, text, spelling) => {
                model.set_parts("cost", &[(*part, Some(text.clone()))], *spelling);
            }
            Self::SetCustomParts(parts, spelling) => {
                model.set_parts(&spelled("cost", *spelling), parts, *spelling);
            }
            Self::RemoveCustoms => model.customs.clear(),
            Self::AddCodes(codes, spelling) => {
                let mut all = model.codes();
                if all.is_empty() {
                    all.clone_from(codes);
                }
                for code in codes {
                    if !all.contains(code) {
                        all.push(code.clone());
                    }
                }
                model.set_codes(&all, *spelling);
            }
            Self::ReplaceCodes(codes, spelling) => model.set_codes(codes, *spelling),
            Self::RemoveCodes(codes, spelling) => {
                let mut all = model.codes();
                all.retain(|code| !codes.contains(code));
                model.set_codes(&all, *spelling);
            }
        }
    }
}

impl Model {
    fn custom(&self, name: &str) -> Option<&Value> {
        self.customs.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn codes(&self) -> Vec<String> {
        let codes = self.custom("codes").and_then(Value::as_array).cloned().unwrap_or_default();
        codes.iter().map(|code| code.as_str().expect("a text").to_owned()).collect()
    }

    fn set_codes(&mut self, codes: &[String], spelling: Spelling) {
        let codes = (!codes.is_empty()).then(|| json!(codes));
        self.set_custom(&custom_urn(spelling), &spelled("codes", spelling), codes);
    }

    /// Changes what is listed of the parts of `cost`, which is called `name` if it is new.
    fn set_parts(&mut self, name: &str, listed: &[(&str, Option<String>)], spelling: Spelling) {
        let mut parts = self.custom("cost").and_then(Value::as_object).cloned().unwrap_or_default();
        for (part, text) in listed {
            let part = spelled(part, spelling);
            let own = parts.keys().find(|key| key.eq_ignore_ascii_case(&part)).cloned().unwrap_or(part);
            match text {
                Some(text) => parts.insert(own, json!(text)),
                None => parts.remove(&own),
            };
        }
        self.set_custom(&custom_urn(spelling), name, (!parts.is_empty()).then(|| parts.into()));
    }

    fn set_custom(&mut self, urn: &str, name: &str, value: Option<Value>) {
        if self.customs.is_empty() {
            urn.clone_into(&mut self.urn);
        }
        let at = self.customs.iter().position(|(own, _)| own.eq_ignore_ascii_case(name));
        match (at, value) {
            (Some(at), Some(value)) => self.customs[at].1 = value,
            (Some(at), None) => {
                self.customs.remove(at);
            }
            (None, Some(value)) => self.customs.push((name.to_owned(), value)),
            (None, None) => {}
        }
    }

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
        if !self.customs.is_empty() {
            stored.insert(self.urn.clone(), Value::Object(self.customs.iter().cloned().collect()));
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
    let name = || prop::sample::select(vec!["dept", "Dept", "level"]);
    let codes = || prop::collection::vec("[abc]{1}", 1..3);
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
        (name(), text(), spelling()).prop_map(|(name, text, spelling)| Step::SetCustom(name, text, spelling)),
        (prop::option::of(text()), prop::option::of(text()))
            .prop_map(|(dept, level)| { Step::SetCustoms(vec![("dEPT", dept), ("Level", level)]) }),
        (name(), spelling()).prop_map(|(name, spelling)| Step::RemoveCustom(name, spelling)),
        (prop::sample::select(vec!["center", "Center"]), text(), spelling())
            .prop_map(|(part, text, spelling)| Step::SetCustomPart(part, text, spelling)),
        (prop::option::of(text()), prop::option::of(text()), spelling()).prop_map(
            |(center, unit, spelling)| {
                Step::SetCustomParts(vec![("cENTER", center), ("unit", unit)], spelling)
            }
        ),
        Just(Step::RemoveCustoms),
        (codes(), spelling()).prop_map(|(codes, spelling)| Step::AddCodes(codes, spelling)),
        (codes(), spelling()).prop_map(|(codes, spelling)| Step::ReplaceCodes(codes, spelling)),
        (codes(), spelling()).prop_map(|(codes, spelling)| Step::RemoveCodes(codes, spelling)),
    ];
    prop::collection::vec(step, 1..12)
}

proptest! {
    #[test]
    fn a_patch_of_a_user_does_what_a_naive_reader_expects(steps in steps(), cut in 0..12_usize) {
        let operations: Vec<Value> = steps.iter().map(Step::wire).collect();
        let start = json!({"userName": "a", (CUSTOM): {"Dept": "x"}});
        let mut model = Model {
            customs: vec![("Dept".to_owned(), json!("x"))],
            urn: CUSTOM.to_owned(),
            ..Model::default()
        };
        let before = user(&start);
        steps.iter().for_each(|step| step.apply(&mut model));
        let after = patched(&before, &operations.clone().into());
        prop_assert_eq!(attributes(&after), Value::Object(model.stored()), "{:?}", operations);
        let (one, two) = operations.split_at(cut.min(operations.len()));
        let in_two = [one, two].into_iter().filter(|part| !part.is_empty()).fold(before, |user, part| {
            patched(&user, &Value::from(part.to_vec()))
        });
        prop_assert_eq!(in_two, after, "one call or two");
    }
}
