//! The grammar of filters as recursive descent, bounded in length, depth and terms.
//!
//! ```text
//! or    = and *( SP "or" SP and )
//! and   = not *( SP "and" SP not )
//! not   = "not" [SP] "(" or ")" / "(" or ")" / valuePath / term
//! term  = attrPath SP "pr" / attrPath SP operator SP literal
//! valuePath = attrPath "[" or "]" [ "." NAME SP ( "pr" / operator SP literal ) ]
//! ```
//!
//! Two liberties, both seen on the wire: a literal may be a bare word, but not one in other quotation marks, and a value path
//! may be followed by a sub-attribute. Words of the grammar are case-insensitive.

use super::{Filter, Literal, Operator};
use crate::error::ScimError;
use crate::limits::{MAX_FILTER_BYTES, MAX_FILTER_DEPTH, MAX_FILTER_TERMS};
use crate::note::{DialectNote, Notes};
use crate::path::AttributePath;
use crate::urn::note_spelling;

/// Quotation marks that are not the grammar's: a word that stands between them was meant as a text. With its marks in it,
/// it would be what nobody has.
const OTHER_QUOTES: [char; 11] = ['\'', '`', '´', '‘', '’', '‚', '“', '”', '„', '«', '»'];

/// Where the parser stands in the tree of brackets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Outside of brackets.
    Resource,
    /// Inside of the brackets of a value path, where no further brackets may stand.
    Value,
}

/// Reads one filter or value path.
pub(crate) struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    terms: usize,
    notes: Notes,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, terms: 0, notes: Notes::default() }
    }

    /// The whole text as a filter, and the liberties that it took.
    pub(crate) fn parse_filter(mut self) -> Result<(Filter, Vec<DialectNote>), ScimError> {
        self.check_length()?;
        self.skip_spaces();
        let filter = self.parse_or(Place::Resource)?;
        self.expect_end()?;
        Ok((filter, self.notes.into_vec()))
    }

    /// The whole text as `attrPath "[" filter "]" ["." NAME]`. The sub-attribute is put into the path.
    pub(crate) fn parse_value_path(mut self) -> Result<(AttributePath, Filter, Vec<DialectNote>), ScimError> {
        self.check_length()?;
        let mut path = self.parse_attribute_path()?;
        if path.sub_attribute.is_some() {
            return Err(self.expected("an attribute without sub-attribute before `[`"));
        }
        let filter = self.parse_brackets()?;
        path.sub_attribute = self.parse_dotted_name()?;
        self.expect_end()?;
        Ok((path, filter, self.notes.into_vec()))
    }

    fn check_length(&self) -> Result<(), ScimError> {
        if self.text.len() > MAX_FILTER_BYTES {
            return Err(ScimError::FilterTooLarge { limit: "bytes" });
        }
        Ok(())
    }

    fn expect_end(&mut self) -> Result<(), ScimError> {
        self.skip_spaces();
        if self.at < self.text.len() { Err(self.expected("`and`, `or` or the end")) } else { Ok(()) }
    }

    fn parse_or(&mut self, place: Place) -> Result<Filter, ScimError> {
        let mut filters = vec![self.parse_and(place)?];
        while self.take_connective("or") {
            filters.push(self.parse_and(place)?);
        }
        Ok(joined(filters, Filter::Or))
    }

    fn parse_and(&mut self, place: Place) -> Result<Filter, ScimError> {
        let mut filters = vec![self.parse_not(place)?];
        while self.take_connective("and") {
            filters.push(self.parse_not(place)?);
        }
        Ok(joined(filters, Filter::And))
    }

    fn parse_not(&mut self, place: Place) -> Result<Filter, ScimError> {
        if self.take_not() {
            return Ok(Filter::Not(Box::new(self.parse_group(place)?)));
        }
        if self.rest().starts_with('(') {
            return self.parse_group(place);
        }
        self.parse_term(place)
    }

    fn parse_group(&mut self, place: Place) -> Result<Filter, ScimError> {
        self.deepen()?;
        self.expect('(', "`(`")?;
        self.skip_spaces();
        let filter = self.parse_or(place)?;
        self.skip_spaces();
        self.expect(')', "`)`, `and` or `or`")?;
        self.depth -= 1;
        Ok(filter)
    }

    fn parse_term(&mut self, place: Place) -> Result<Filter, ScimError> {
        let path = self.parse_attribute_path()?;
        if !self.rest().starts_with('[') {
            return self.parse_condition(path);
        }
        if place == Place::Value || path.sub_attribute.is_some() {
            return Err(self.expected("a comparison"));
        }
        let filter = self.parse_brackets()?;
        let filter = match self.parse_dotted_name()? {
            None => filter,
            Some(name) => {
                self.notes.add(DialectNote::FilterPart);
                let condition =
                    self.parse_condition(AttributePath { urn: None, name, sub_attribute: None })?;
                match filter {
                    Filter::And(mut filters) => {
                        filters.push(condition);
                        Filter::And(filters)
                    }
                    other => Filter::And(vec![other, condition]),
                }
            }
        };
        Ok(Filter::ValuePath { path, filter: Box::new(filter) })
    }

    fn parse_brackets(&mut self) -> Result<Filter, ScimError> {
        self.deepen()?;
        self.expect('[', "`[`")?;
        self.skip_spaces();
        let filter = self.parse_or(Place::Value)?;
        self.skip_spaces();
        self.expect(']', "`]`, `and` or `or`")?;
        self.depth -= 1;
        Ok(filter)
    }

    fn parse_condition(&mut self, path: AttributePath) -> Result<Filter, ScimError> {
        self.terms += 1;
        if self.terms > MAX_FILTER_TERMS {
            return Err(ScimError::FilterTooLarge { limit: "terms" });
        }
        if !self.skip_spaces() {
            return Err(self.expected("a blank and an operator"));
        }
        let word = self.word();
        if word.eq_ignore_ascii_case("pr") {
            self.at += word.len();
            return Ok(Filter::Present(path));
        }
        let operator = Operator::ALL
            .into_iter()
            .find(|operator| operator.as_str().eq_ignore_ascii_case(word))
            .ok_or_else(|| self.expected("an operator: pr, eq, ne, co, sw, ew, gt, ge, lt, le"))?;
        self.at += word.len();
        if !self.skip_spaces() {
            return Err(self.expected("a blank and a value"));
        }
        let literal = self.parse_literal(operator)?;
        Ok(Filter::Compare { path, operator, literal })
    }

    fn parse_literal(&mut self, operator: Operator) -> Result<Literal, ScimError> {
        if self.rest().starts_with('"') {
            let text = self.parse_string()?;
            return if text.contains('\0') {
                Err(self.expected("a string without u+0000"))
            } else {
                Ok(Literal::Text(text))
            };
        }
        let word = self.bare_word();
        if word.is_empty() || word.contains(['"', '\0']) {
            return Err(self.expected("a value"));
        }
        if word.starts_with(OTHER_QUOTES) || word.ends_with(OTHER_QUOTES) {
            return Err(self.expected("a value in double quotes"));
        }
        let start = self.at;
        self.at += word.len();
        if operator == Operator::Eq {
            self.take_more_words();
        }
        let word = self.text.get(start..self.at).unwrap_or(word);
        Ok(match word {
            "null" => Literal::Null,
            "true" => Literal::Boolean(true),
            "false" => Literal::Boolean(false),
            _ if is_json_number(word) => Literal::Number(word.to_owned()),
            _ => {
                self.notes.add(DialectNote::BareLiteral);
                Literal::Text(word.to_owned())
            }
        })
    }

    /// Takes what follows a word without quotes and can be nothing but more of it: some clients ask for a name with blanks as it
    /// stands. What has an operator in it lacks an `and`, and is none.
    fn take_more_words(&mut self) {
        let start = self.at;
        while let Some(rest) = self.text.get(self.at..).filter(|rest| rest.starts_with(' ')) {
            let trimmed = rest.trim_start_matches(' ');
            let word = run(trimmed, |c| matches!(c, ' ' | ')' | ']'));
            let is = |name: &str| word.eq_ignore_ascii_case(name);
            if word.is_empty() || is("and") || is("or") {
                return;
            }
            if word.contains(['"', '(', '[', '\0'])
                || is("pr")
                || Operator::ALL.iter().any(|o| is(o.as_str()))
            {
                self.at = start;
                return;
            }
            self.at += rest.len() - trimmed.len() + word.len();
        }
    }

    fn parse_string(&mut self) -> Result<String, ScimError> {
        let rest = self.rest();
        let mut is_escaped = false;
        for (offset, character) in rest.char_indices().skip(1) {
            match character {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => {
                    let (string, _) = rest.split_at_checked(offset + 1).unwrap_or((rest, ""));
                    let text =
                        serde_json::from_str::<String>(string).map_err(|_| self.expected("a json string"))?;
                    self.at += string.len();
                    return Ok(text);
                }
                _ => {}
            }
        }
        Err(self.expected("a closed json string"))
    }

    fn parse_attribute_path(&mut self) -> Result<AttributePath, ScimError> {
        let word = self.word();
        let path = AttributePath::parse(word).ok_or_else(|| self.expected("an attribute"))?;
        note_spelling(word, &mut self.notes);
        self.at += word.len();
        Ok(path)
    }

    fn parse_dotted_name(&mut self) -> Result<Option<String>, ScimError> {
        let Some(rest) = self.rest().strip_prefix('.') else {
            return Ok(None);
        };
        let name = run(rest, |c| is_delimiter(c) || c == '.');
        match AttributePath::parse(name) {
            Some(AttributePath { urn: None, name: parsed, sub_attribute: None }) => {
                self.at += 1 + name.len();
                Ok(Some(parsed))
            }
            _ => Err(self.expected("a sub-attribute")),
        }
    }

    /// Takes `SP word SP`, where what follows may also be an opening parenthesis.
    fn take_connective(&mut self, connective: &str) -> bool {
        let start = self.at;
        if self.skip_spaces() {
            let word = self.word();
            if word.eq_ignore_ascii_case(connective) {
                self.at += word.len();
                if self.skip_spaces() || self.rest().starts_with('(') {
                    return true;
                }
            }
        }
        self.at = start;
        false
    }

    /// Takes `not` where a parenthesis follows; an attribute may have that name.
    fn take_not(&mut self) -> bool {
        let start = self.at;
        let word = self.word();
        if word.eq_ignore_ascii_case("not") {
            self.at += word.len();
            self.skip_spaces();
            if self.rest().starts_with('(') {
                return true;
            }
        }
        self.at = start;
        false
    }

    fn deepen(&mut self) -> Result<(), ScimError> {
        self.depth += 1;
        if self.depth > MAX_FILTER_DEPTH {
            return Err(ScimError::FilterTooLarge { limit: "depth" });
        }
        Ok(())
    }

    fn expect(&mut self, character: char, expected: &'static str) -> Result<(), ScimError> {
        if !self.rest().starts_with(character) {
            return Err(self.expected(expected));
        }
        self.at += character.len_utf8();
        Ok(())
    }

    fn expected(&self, expected: &'static str) -> ScimError {
        ScimError::InvalidFilter { at: self.at, expected }
    }

    /// Skips blanks and says whether there were any.
    fn skip_spaces(&mut self) -> bool {
        let rest = self.rest();
        let skipped = rest.len() - rest.trim_start_matches(' ').len();
        self.at += skipped;
        skipped > 0
    }

    fn word(&self) -> &'a str {
        run(self.rest(), is_delimiter)
    }

    /// A literal without quotes: up to a blank or a bracket that closes.
    fn bare_word(&self) -> &'a str {
        run(self.rest(), |c| matches!(c, ' ' | ')' | ']'))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }
}

fn joined(mut filters: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match (filters.len(), filters.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            filters.push(last);
            join(filters)
        }
        (_, None) => join(filters),
    }
}

fn is_delimiter(character: char) -> bool {
    matches!(character, ' ' | '(' | ')' | '[' | ']' | '"')
}

fn run(text: &str, stops: impl Fn(char) -> bool) -> &str {
    text.split(stops).next().unwrap_or("")
}

fn is_json_number(word: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(word).is_ok()
}
