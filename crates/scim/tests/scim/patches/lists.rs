//! PATCH of multi-valued attributes: what must not become a second value.

use portcullis_scim::ScimType;
use serde_json::{Value, json};

use crate::wire::{attributes, patched, refused_patch, user};

#[test]
fn quotation_marks_of_another_kind_choose_nothing_and_make_no_second_value() {
    let before = user(&json!({"userName": "a", "emails": [{"value": "a@x.test", "type": "work"}]}));
    for word in ["'work'", "“work”", "‘work’", "„work“", "`work`"] {
        let path = format!("emails[type eq {word}].value");
        for operation in [
            json!({"op": "replace", "path": path, "value": "b@x.test"}),
            json!({"op": "add", "value": {path.as_str(): "b@x.test"}}),
            json!({"op": "remove", "path": path}),
        ] {
            let refused = refused_patch(&before, &json!([operation]));
            assert_eq!(refused.scim_type(), Some(ScimType::InvalidPath), "{operation}");
        }
    }
    let changed = patched(
        &before,
        &json!([{"op": "replace", "path": "emails[type eq work].value", "value": "b@x.test"}]),
    );
    assert_eq!(changed.attributes()["emails"], json!([{"value": "b@x.test", "type": "work"}]));
}

#[test]
fn a_list_that_is_replaced_has_each_value_once_and_can_be_put_back() {
    let before = user(&json!({"userName": "a", "emails": [{"value": "old@x.test"}]}));
    let twice = json!([
        {"value": "z@x.test", "type": "work"}, {"value": "y@x.test"},
        {"value": "Z@x.test", "type": "work", "primary": true, "display": "Z"}
    ]);
    for operation in [
        json!({"op": "replace", "path": "emails", "value": twice}),
        json!({"op": "replace", "value": {"emails": twice}}),
    ] {
        let after = patched(&before, &json!([operation]));
        let once = json!([
            {"value": "Z@x.test", "type": "work", "primary": true, "display": "Z"}, {"value": "y@x.test"}
        ]);
        assert_eq!(after.attributes()["emails"], once, "{operation}");
        assert_eq!(user(&attributes(&after)), after, "what was answered is put back");
    }
    let none = patched(&before, &json!([{"op": "replace", "path": "emails", "value": Value::Null}]));
    assert_eq!(attributes(&none), json!({"userName": "a"}));
}
