//! A provider takes the place of another one, or stands behind several connections: what was said to the one is not said to
//! the other, and whose signatures count is told of all of them.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::ConnectionChange;
use portcullis_domain::id::ConnectionId;
use portcullis_domain::plan::Plan;
use portcullis_domain::saml::{CertificateState, SamlCertificate};
use portcullis_emulator::Browser;
use portcullis_service::{Moment, ServiceError};
use portcullis_store::{Priority, Tx, connection, saml};
use serde_json::{Value, json};

use crate::saml_idp::{Idp, Says, key};
use crate::saml_trust::{ada_is_invited, one, print, state_of};
use crate::world::{ADA, CLIENT_SECRET, World, outcome};

/// A provider of SAML by that name.
async fn idp_called(entity: &str) -> Idp {
    let mut idp = Idp::start().await;
    entity.clone_into(&mut idp.entity);
    idp.publish(&[&idp.key]);
    idp
}

async fn moved(world: &World, connection: &Value, to: &Idp) -> (u16, Value) {
    world.root("PATCH", &one(connection), json!({ "metadata_url": to.metadata_url() })).await
}

#[tokio::test]
async fn a_provider_that_is_named_again_is_believed_again_but_by_no_certificate_that_somebody_retired() {
    let (world, idp) = (World::new().await, Idp::start().await);
    ada_is_invited(&world).await;
    let by_hand = key();
    idp.publish(&[&idp.key, &by_hand]);
    let connection = world.saml("acme", &idp, json!({})).await;
    let retire = format!("{}/certificates/{}/retire", one(&connection), print(&by_hand));
    assert_eq!(world.root("POST", &retire, Value::Null).await.0, 200);
    let next = idp_called("https://next.test/entity").await;
    let state = async |key| state_of(&world, &connection, &print(key)).await;

    let (status, changed) = moved(&world, &connection, &next).await;
    assert_eq!((status, &changed["issuer"]), (200, &json!(next.entity)), "{changed}");
    assert_eq!([state(&idp.key).await, state(&by_hand).await], ["former", "retired"]);

    let (status, back) = moved(&world, &connection, &idp).await;
    assert_eq!((status, &back["issuer"]), (200, &json!(idp.entity)), "{back}");
    let states = [state(&idp.key).await, state(&by_hand).await, state(&next.key).await];
    assert_eq!(states, ["trusted", "retired", "former"]);
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok");

    next.publish(&[&by_hand]);
    let (status, refused) = moved(&world, &connection, &next).await;
    let code = refused["code"].as_str().unwrap_or_default();
    assert_eq!((status, code), (422, "metadata_certificates_retired"), "{refused}");
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok", "nothing was changed");
}

#[tokio::test]
async fn an_administrator_is_told_where_no_certificate_counts() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let connection = world.saml("acme", &idp, json!({})).await;
    let id: ConnectionId = connection["id"].as_str().unwrap().parse().unwrap();
    // As connections were left that had moved to another provider and back.
    let leave = move |tx: &mut Tx<'_>, moment: &mut Moment| {
        let of = connection::find_by_id(tx, id)?.unwrap().organization;
        let known = saml::certificates(tx, of, id)?.remove(0);
        let retired = SamlCertificate { state: CertificateState::Retired, ..known };
        let change = ConnectionChange::PutCertificate(Box::new(retired));
        let event = EventDraft::new(Action::CertificateRetired, id);
        let plan = Plan::because(of, Cause::system()).then(event, change);
        Ok::<_, ServiceError>(moment.apply(tx, &plan)?)
    };
    world.portcullis.write(Priority::Ordinary, leave).await.unwrap();
    let codes = async || {
        let (_, shown) = world.root("GET", &one(&connection), Value::Null).await;
        let warnings = shown["saml"]["warnings"].as_array().unwrap().clone();
        warnings.into_iter().map(|w| w["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(codes().await, ["no_certificate"]);
    let accept = format!("{}/certificates/{}/accept", one(&connection), print(&idp.key));
    assert_eq!(world.root("POST", &accept, Value::Null).await.0, 200);
    assert_eq!(codes().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_one_provider_said_of_a_session_is_not_shown_to_the_next_when_somebody_signs_out() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let leading = json!({ "client_id": "ours", "oidc": { "end_session": true } });
    let connection = world.connection("acme", leading).await;
    let next = world.another_provider("ours", connection["redirect_uri"].as_str().unwrap()).await;
    for (moves, leads_to) in [(false, Some(world.provider.issuer())), (true, None)] {
        let mut browser = Browser::new().unwrap();
        assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok");
        if moves {
            let to = json!({ "issuer": next.issuer(), "client_secret": CLIENT_SECRET });
            let (status, changed) = world.root("PATCH", &one(&connection), to).await;
            assert_eq!(status, 200, "{changed}");
        }
        let secret = world.sessions(&browser).pop().unwrap();
        let page = browser.submit(&format!("{}/logout", world.base), &[]).await.unwrap();
        assert_eq!(world.decision(&secret).await, "token_ended");
        let asked = page.passed.iter().find(|url| url.path() == "/end-session");
        let host = asked.map(|url| url.origin().ascii_serialization());
        assert_eq!(host.as_deref(), leads_to, "{:?}", page.passed);
    }
}

#[tokio::test]
async fn a_provider_of_saml_is_not_told_of_a_session_that_another_one_vouched_for() {
    let (world, idp) = (World::new().await, Idp::start().await);
    ada_is_invited(&world).await;
    let connection = world.saml("acme", &idp, json!({})).await;
    let next = idp_called("https://next.test/entity").await;
    for (moves, leads_to) in [(false, Some(idp.base.as_str())), (true, None)] {
        let mut browser = Browser::new().unwrap();
        assert_eq!(outcome(&world.by_saml(&mut browser, &idp, &connection, &Says::ada(&[])).await), "ok");
        if moves {
            assert_eq!(moved(&world, &connection, &next).await.0, 200);
        }
        let secret = world.sessions(&browser).pop().unwrap();
        let page = browser.submit(&format!("{}/logout", world.base), &[]).await.unwrap();
        assert_eq!(world.decision(&secret).await, "token_ended");
        let asked = page.passed.iter().find(|url| url.path() == "/slo");
        let host = asked.map(|url| url.origin().ascii_serialization());
        assert_eq!(host.as_deref(), leads_to, "{:?}", page.passed);
    }
}

#[tokio::test]
async fn whoever_retires_a_certificate_is_told_of_every_other_connection_where_it_still_counts() {
    let (world, idp) = (World::new().await, Idp::start().await);
    idp.publish(&[&idp.key, &key()]);
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(world.saml("acme", &idp, json!({})).await);
    }
    connections.sort_by_key(|connection| connection["id"].to_string());
    world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
    world.saml("globex", &idp, json!({})).await;
    let mut left: Vec<Value> = connections.iter().map(|connection| connection["id"].clone()).collect();
    for query in ["", "?links=end", "?links=end"] {
        let connection = connections.remove(0);
        left.remove(0);
        let retire = format!("{}/certificates/{}/retire{query}", one(&connection), print(&idp.key));
        for time in ["first", "again"] {
            let (status, retired) = world.root("POST", &retire, Value::Null).await;
            assert_eq!((status, &retired["state"]), (200, &json!("retired")), "{retired}");
            assert_eq!(retired["trusted_elsewhere"], json!(left), "{time}: {retired}");
        }
    }
}
