//! Extensions of a directory's own, as discovery tells of them.

use portcullis_scim::limits::MAX_SEEN_EXTENSIONS;
use portcullis_service::scim::{MAX_WITNESSES, create_user, person_said};
use serde_json::{Value, json};

use super::provider::{ENTERPRISE, GROUP, Provider, USER, person};

const HR: &str = "urn:acme:hr:2.0:User";

/// People of whom that is said beside their names.
fn crowd(idp: &Provider, said: Vec<Value>) {
    let speaker = idp.speaker();
    idp.bench.write(move |tx, moment| {
        for (number, said) in said.iter().enumerate() {
            let mut body = said.clone();
            body["userName"] = json!(format!("u{number:04}"));
            let (user, _) = portcullis_scim::parse_user(body.to_string().as_bytes()).expect("a user");
            create_user(tx, moment, speaker, &person_said(&user.with_defaults()))?;
        }
        Ok(())
    });
}

/// The URNs of the extensions of users, as `/ResourceTypes` tells them.
async fn extensions(idp: &Provider) -> Vec<String> {
    let kind = idp.got("/ResourceTypes/User").await;
    assert_eq!(idp.got("/ResourceTypes").await["Resources"][0], kind, "the list says the same");
    let listed = kind["schemaExtensions"].as_array().expect("a list").iter();
    let urns = listed.map(|extension| {
        assert_eq!(extension["required"], false);
        extension["schema"].as_str().expect("a URN").to_owned()
    });
    urns.collect()
}

/// The URNs of all schemas.
async fn schemas(idp: &Provider) -> Vec<String> {
    let all = idp.got("/Schemas").await;
    let listed = all["Resources"].as_array().expect("a list");
    assert_eq!(all["totalResults"], listed.len());
    listed.iter().map(|schema| schema["id"].as_str().expect("a URN").to_owned()).collect()
}

async fn attributes(idp: &Provider, urn: &str) -> Vec<(String, String)> {
    let schema = idp.got(&format!("/Schemas/{urn}")).await;
    let listed = schema["attributes"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    listed.map(|attribute| (text(&attribute["name"]), text(&attribute["type"]))).collect()
}

fn named(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect()
}

#[tokio::test]
async fn discovery_tells_of_the_extensions_that_people_of_the_directory_have_and_of_no_others() {
    let idp = Provider::new();
    let other = Provider::beside(&idp.bench, idp.organization, "acme", None, 3600);
    let defined = [USER, ENTERPRISE, GROUP];
    assert_eq!(
        (extensions(&idp).await, schemas(&idp).await),
        (vec![ENTERPRISE.to_owned()], defined.map(str::to_owned).to_vec())
    );
    let mut al = person("al");
    al["title"] = json!("Lead");
    al[ENTERPRISE] = json!({ "department": "Eng", "manager": { "value": "9" } });
    al[HR] = json!({ "badgeNumber": "B-1", "desk": { "floor": 2 } });
    let al = format!("/Users/{}", idp.made("/Users", al).await);
    let mut bo = person("bo");
    bo[HR] = json!({ "BADGENUMBER": "B-2", "level": 3 });
    let bo = format!("/Users/{}", idp.made("/Users", bo).await);
    idp.made("/Users", person("cy")).await;

    assert_eq!(extensions(&idp).await, [ENTERPRISE, HR]);
    assert_eq!(schemas(&idp).await, [USER, ENTERPRISE, GROUP, HR]);
    let seen = named(&[("badgeNumber", "string"), ("desk", "complex"), ("level", "integer")]);
    assert_eq!(attributes(&idp, HR).await, seen);
    assert_eq!(attributes(&idp, &HR.to_uppercase()).await, seen, "a URN has no case");
    let schema = idp.got(&format!("/Schemas/{HR}")).await;
    assert_eq!(schema["meta"]["location"], idp.url(&format!("/Schemas/{HR}")));
    for below in ["/Schemas?filter=id%20pr", "/ResourceTypes?filter=id%20pr"] {
        assert_eq!(idp.call("GET", below, Value::Null).await.status, 403, "{below}");
    }

    assert_eq!(extensions(&other).await, [ENTERPRISE], "another directory's are another's");
    assert_eq!(other.call("GET", &format!("/Schemas/{HR}"), Value::Null).await.status, 404);

    let level = json!([{ "op": "replace", "path": format!("{HR}:level"), "value": "senior" }]);
    idp.patched(&bo, level).await;
    let told = attributes(&idp, HR).await;
    assert_eq!(told.last(), named(&[("level", "string")]).last(), "as they are now");
    idp.patched(&al, json!([{ "op": "remove", "path": format!("{HR}:desk") }])).await;
    assert_eq!(attributes(&idp, HR).await, named(&[("badgeNumber", "string"), ("level", "string")]));
    for one in [al, bo] {
        assert_eq!(idp.call("DELETE", &one, Value::Null).await.status, 204);
    }
    assert_eq!(extensions(&idp).await, [ENTERPRISE], "nobody has it any more");
    assert_eq!(idp.call("GET", &format!("/Schemas/{HR}"), Value::Null).await.status, 404);
}

#[tokio::test]
async fn one_person_tells_of_an_extension_whoever_else_has_it_with_whatever_values() {
    let idp = Provider::new();
    let said = |n: usize| json!({ HR: { "badge": format!("B-{n}"), "tags": ["a", n], "z": { "part": n } } });
    crowd(&idp, (0..300).map(said).collect());
    let expected = named(&[("badge", "string"), ("tags", "string"), ("z", "complex")]);
    assert_eq!(attributes(&idp, HR).await, expected);
}

#[tokio::test]
async fn what_discovery_reads_and_tells_of_other_peoples_words_has_bounds() {
    let idp = Provider::new();
    // Each of them has a name of their own, so that no one tells of another's.
    crowd(&idp, (0..MAX_WITNESSES + 6).map(|n| json!({ HR: { format!("a{n:03}"): "x" } })).collect());
    let told = attributes(&idp, HR).await;
    assert_eq!(told.len(), MAX_WITNESSES);
    assert_eq!(told.first(), named(&[("a000", "string")]).first());
    let other = Provider::beside(&idp.bench, idp.organization, "acme", None, 3600);
    crowd(
        &other,
        (0..=MAX_SEEN_EXTENSIONS).map(|n| json!({ format!("urn:acme:{n:03}"): { "a": 1 } })).collect(),
    );
    assert_eq!(extensions(&other).await.len(), 1 + MAX_SEEN_EXTENSIONS);
}

/// The names of the attributes that a schema declares, parts behind their attribute.
fn declared(schema: &Value) -> Vec<String> {
    let name = |attribute: &Value| attribute["name"].as_str().unwrap().to_owned();
    let mut all = Vec::new();
    for attribute in schema["attributes"].as_array().unwrap() {
        all.push(name(attribute));
        let parts = attribute["subAttributes"].as_array().into_iter().flatten();
        all.extend(parts.map(|part| format!("{}.{}", name(attribute), name(part))));
    }
    all
}

/// Whether an answer has it.
fn has(answer: &Value, name: &str) -> bool {
    let (name, part) = name.split_once('.').map_or((name, None), |(name, part)| (name, Some(part)));
    let value = &answer[name];
    let value = value.as_array().and_then(|values| values.first()).unwrap_or(value);
    !part.map_or(value, |part| &value[part]).is_null()
}

#[tokio::test]
async fn everything_that_discovery_declares_comes_back_in_an_answer() {
    let idp = Provider::new();
    let schemas = idp.got("/Schemas").await["Resources"].clone();
    let of =
        |urn: &str| schemas.as_array().unwrap().iter().find(|schema| schema["id"] == urn).unwrap().clone();
    let text = |kind: &str| match kind {
        "boolean" => json!(true),
        "binary" => json!("AAAA"),
        "reference" => json!("https://acme.test/x"),
        _ => json!("x@acme.test"),
    };
    let everything = |schema: &Value| {
        let mut body = serde_json::Map::new();
        for attribute in schema["attributes"].as_array().unwrap() {
            let value = match attribute["subAttributes"].as_array() {
                None => text(attribute["type"].as_str().unwrap()),
                Some(parts) => {
                    let parts = parts.iter().map(|part| {
                        (part["name"].as_str().unwrap().to_owned(), text(part["type"].as_str().unwrap()))
                    });
                    parts.collect::<serde_json::Map<_, _>>().into()
                }
            };
            let value = if attribute["multiValued"] == true { json!([value]) } else { value };
            body.insert(attribute["name"].as_str().unwrap().to_owned(), value);
        }
        body
    };
    let (user, enterprise) = (of(USER), of(ENTERPRISE));
    let mut body = everything(&user);
    let mut extension = everything(&enterprise);
    extension["manager"]["displayName"] = json!("left aside");
    body.insert(ENTERPRISE.to_owned(), extension.into());
    let ann = idp.made("/Users", body.into()).await;
    let members = json!([{ "value": ann, "display": "left aside" }]);
    let group = idp.made("/Groups", json!({ "displayName": "all", "members": members })).await;
    let person = idp.got(&format!("/Users/{ann}")).await;
    let group = idp.got(&format!("/Groups/{group}")).await;
    for (schema, answer) in [(&user, &person), (&enterprise, &person[ENTERPRISE]), (&of(GROUP), &group)] {
        for name in declared(schema) {
            assert!(has(answer, &name), "`{name}` is declared: {answer}");
        }
    }
    assert!(!person.to_string().contains("left aside") && !group.to_string().contains("left aside"));
    let taken = idp.call("POST", "/Groups", json!({ "displayName": "ALL" })).await;
    assert_eq!(taken.json()["scimType"], "uniqueness", "as discovery says");
}
