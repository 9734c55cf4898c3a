//! Forms in the pages of identity providers, as a person or a script of the page would send them.

use portcullis_emulator::{Browser, Page};

/// The first form of a page: where it goes, and what it has filled in.
#[derive(Debug, Clone)]
pub struct Form {
    pub action: String,
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// The form of a page that has one.
    pub fn of(page: &str) -> Self {
        Self::find(page).unwrap_or_else(|| panic!("no form: {page}"))
    }

    /// The first form of a page, if it has one.
    pub fn find(page: &str) -> Option<Self> {
        let (_, form) = split_once_anywhere(page, "<form")?;
        let form = split_once_anywhere(form, "</form").map_or(form, |(inside, _)| inside);
        let action = value(form.split('>').next()?, "action").unwrap_or_default();
        let mut fields = Vec::new();
        let mut rest = form;
        while let Some((_, after)) = split_once_anywhere(rest, "<input") {
            let tag = after.split('>').next().unwrap_or_default();
            if let Some(name) = value(tag, "name") {
                fields.push((name, value(tag, "value").unwrap_or_default()));
            }
            rest = after;
        }
        Some(Self { action, fields })
    }

    /// What is filled in there.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same with these fields filled in by a person.
    pub fn filled(mut self, with: &[(&str, &str)]) -> Self {
        for (name, value) in with {
            self.fields.retain(|(known, _)| known != name);
            self.fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        self
    }

    /// Sends it from the page at `from`.
    pub async fn send(&self, browser: &mut Browser, from: &Page) -> Page {
        let action = from.url.join(&self.action).unwrap().into();
        Self { action, ..self.clone() }.send_to(browser).await
    }

    /// Sends it where it says, which is a whole address.
    pub async fn send_to(&self, browser: &mut Browser) -> Page {
        let fields: Vec<(&str, &str)> =
            self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        browser.submit(&self.action, &fields).await.unwrap()
    }
}

/// What an attribute of a tag says; tags and attributes may be written in either case.
fn value(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = split_once_anywhere(tag, &format!(" {name}=\""))?;
    let text = rest.split('"').next()?;
    let entities = [("&#x2f;", "/"), ("&#x2b;", "+"), ("&#x3d;", "="), ("&#39;", "'"), ("&quot;", "\"")];
    let text = entities.into_iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    Some(text.replace("&amp;", "&"))
}

fn split_once_anywhere<'a>(text: &'a str, what: &str) -> Option<(&'a str, &'a str)> {
    let at = text.to_ascii_lowercase().find(what)?;
    Some((&text[..at], &text[at + what.len()..]))
}

/// Follows forms that a page would send by a script, until a page has none that goes to somebody else.
pub async fn carry_on(browser: &mut Browser, mut page: Page) -> Page {
    for _ in 0..5 {
        let carries =
            |form: &Form| ["SAMLRequest", "SAMLResponse"].iter().any(|name| form.field(name).is_some());
        let Some(form) = Form::find(&page.body).filter(carries) else { return page };
        page = form.send(browser, &page).await;
    }
    panic!("more than five messages in a row, the last one at {}", page.url);
}
