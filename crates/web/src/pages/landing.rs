//! Where somebody stands after signing in: who they are in each organization, and how to leave.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use portcullis_domain::connection::Connection;
use portcullis_service::session::{self, SessionView};
use portcullis_service::{ServiceError, connection};

use super::form::Guest;
use super::{Forms, failure, onward, page};
use crate::App;

/// `GET /` and `GET /console`.
pub async fn show(State(app): State<App>, guest: Guest) -> Response {
    let (request, presented) = (guest.visitor.request, guest.visitor.presented);
    if presented.is_empty() {
        return onward("/login", []);
    }
    let found = app
        .portcullis()
        .read(move |tx, now| {
            let mut all = Vec::new();
            for view in session::list(tx, &presented, now)? {
                let mut connections = connection::linkable(tx, view.organization)?;
                connections.retain(|one| view.may_link(one));
                all.push((view, connections));
            }
            Ok::<_, ServiceError>(all)
        })
        .await;
    match found {
        Ok(all) if all.is_empty() => onward("/login", []),
        Ok(all) => {
            let now = app.portcullis().now();
            for (view, _) in &all {
                app.portcullis().uses().note(view.token, None, now);
            }
            page(StatusCode::OK, "You are signed in", Forms::Out, &standing(&all))
        }
        Err(error) => failure::of(&error, request),
    }
}

fn standing(all: &[(SessionView, Vec<Connection>)]) -> Markup {
    html! {
        @for (view, connections) in all {
            section {
                h2 { (view.organization_slug) }
                dl {
                    dt { "As" }
                    dd { @if !view.name.is_empty() { bdi { (view.name) } " · " } bdi { (view.email) } }
                    dt { "Role" }
                    dd { @if let Some(role) = &view.role { (role) } @else { "none" } }
                    @if let Some(environment) = &view.environment {
                        dt { "Environment" }
                        dd { (environment) }
                    }
                    @if let Some(until) = view.expires_at {
                        dt { "Until" }
                        dd { time datetime=(until.rfc3339()) { (until.rfc3339()) } }
                    }
                }
                form method="post" action="/logout" {
                    input type="hidden" name="token" value=(view.token);
                    button.second type="submit" { "Sign out of " (view.organization_slug) }
                }
                @for connection in connections {
                    form method="post" action={ "/sso/" (connection.kind.as_str()) "/" (connection.id) "/link" } {
                        button.second type="submit" { "Link " (connection.name) }
                    }
                }
            }
        }
        form method="post" action="/logout" {
            button type="submit" { "Sign out everywhere in this browser" }
        }
    }
}
