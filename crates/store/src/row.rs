//! Parameters and rows, alike for both databases: integers and text, nothing else.

use std::fmt::Display;
use std::str::FromStr;

use portcullis_domain::Timestamp;
use portcullis_domain::role::Rank;
use portcullis_domain::text::json_text;

use crate::StoreError;

/// A parameter of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Param<'a> {
    /// No value.
    Null,
    /// A whole number.
    Int(i64),
    /// A text.
    Text(std::borrow::Cow<'a, str>),
}

/// What can be a parameter.
pub trait IntoParam {
    /// The parameter.
    fn param(&self) -> Param<'_>;
}

impl IntoParam for str {
    fn param(&self) -> Param<'_> {
        Param::Text(self.into())
    }
}

impl IntoParam for String {
    fn param(&self) -> Param<'_> {
        Param::Text(self.as_str().into())
    }
}

impl IntoParam for i64 {
    fn param(&self) -> Param<'_> {
        Param::Int(*self)
    }
}

impl IntoParam for Timestamp {
    fn param(&self) -> Param<'_> {
        Param::Int(self.micros())
    }
}

impl IntoParam for portcullis_domain::text::Slug {
    fn param(&self) -> Param<'_> {
        Param::Text(self.as_str().into())
    }
}

impl IntoParam for portcullis_domain::token::Holder {
    fn param(&self) -> Param<'_> {
        Param::Text(self.id().into())
    }
}

impl<T: IntoParam> IntoParam for Option<T> {
    fn param(&self) -> Param<'_> {
        self.as_ref().map_or(Param::Null, IntoParam::param)
    }
}

impl<T: IntoParam + ?Sized> IntoParam for &T {
    fn param(&self) -> Param<'_> {
        (**self).param()
    }
}

macro_rules! id_params {
    ($($id:ident),*) => {$(
        impl IntoParam for portcullis_domain::id::$id {
            fn param(&self) -> Param<'_> {
                Param::Text(self.to_string().into())
            }
        }
    )*};
}

id_params!(
    OrganizationId,
    EnvironmentId,
    DomainId,
    UserId,
    MembershipId,
    RoleId,
    TeamId,
    DirectoryId,
    DirectoryUserId,
    DirectoryGroupId,
    MappingId,
    GrantId,
    ConnectionId,
    HoldId,
    ReviewId,
    AgentId,
    TokenId,
    EventId,
    ReceiptId,
    TraceId,
    RequestId,
    OutboxId,
    SignInId,
    NodeId
);

/// The parameters of a statement, in order: `params![id, slug, now]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::row::IntoParam::param(&$value)),*]
    };
}

/// A list for `IN_LIST($n)`: JSON text, 1,000 values at most in one call.
#[must_use]
pub fn list<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<serde_json::Value> =
        values.into_iter().map(|v| serde_json::Value::String(v.to_string())).collect();
    json_text(&serde_json::Value::Array(values))
}

/// The text behind everything that begins with `prefix`, in byte order: where a range of a prefix ends.
#[must_use]
pub fn behind(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

/// How many, as a statement takes it: limits and places are counted by `usize`, and this is the one place that converts.
#[must_use]
pub fn bound(many: usize) -> i64 {
    i64::try_from(many).unwrap_or(i64::MAX)
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// None.
    Null,
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
}

/// What waits for its turn: the organization as it stands in the row, and what the row reads as.
pub type Waiting<T> = (String, Result<T, StoreError>);

/// A row that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The statement that read it, for messages.
    pub statement: &'static str,
    /// Its values.
    pub values: Vec<Value>,
}

impl Row {
    /// The columns in their order.
    pub(crate) const fn columns(&self) -> Columns<'_> {
        Columns { row: self, next: 0 }
    }

    pub(crate) fn wrong(&self, column: usize, wanted: &str) -> StoreError {
        StoreError::Inconsistent(format!("`{}` column {column}: not {wanted}", self.statement))
    }

    /// A text.
    ///
    /// # Errors
    /// [`StoreError::Inconsistent`] if it is none; so for every method here.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.opt_text(column)?.ok_or_else(|| self.wrong(column, "a text"))
    }

    /// A text, if there is one.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self.values.get(column) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            _ => Err(self.wrong(column, "a text")),
        }
    }

    /// A number.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.opt_int(column)?.ok_or_else(|| self.wrong(column, "a number"))
    }

    /// A number, if there is one.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.values.get(column) {
            Some(Value::Int(number)) => Ok(Some(*number)),
            Some(Value::Null) => Ok(None),
            _ => Err(self.wrong(column, "a number")),
        }
    }

    /// An instant.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn at(&self, column: usize) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp::from_micros)
    }

    /// An instant, if there is one.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn opt_at(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.opt_int(column)?.map(Timestamp::from_micros))
    }

    /// The rank of a role.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn role_rank(&self, column: usize) -> Result<Rank, StoreError> {
        Rank::new(self.int(column)?).map_err(|_| self.wrong(column, "a rank"))
    }

    /// The rank of somebody.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn rank(&self, column: usize) -> Result<Rank, StoreError> {
        self.opt_rank(column)?.ok_or_else(|| self.wrong(column, "a rank"))
    }

    /// The rank of somebody, if there is one.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn opt_rank(&self, column: usize) -> Result<Option<Rank>, StoreError> {
        let rank = self.opt_int(column)?.map(Rank::kept).transpose();
        rank.map_err(|_| self.wrong(column, "a rank"))
    }

    /// An id, a slug, or whatever else reads itself from text.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn parsed<T: FromStr>(&self, column: usize) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|_| self.wrong(column, std::any::type_name::<T>()))
    }

    /// The same, if there is one.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn opt_parsed<T: FromStr>(&self, column: usize) -> Result<Option<T>, StoreError> {
        self.opt_text(column)?
            .map(|t| t.parse().map_err(|_| self.wrong(column, std::any::type_name::<T>())))
            .transpose()
    }

    /// A value that another column has a part of, found by `parse`.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn one_of<T>(&self, column: usize, parse: impl Fn(&str) -> Option<T>) -> Result<T, StoreError> {
        parse(self.text(column)?).ok_or_else(|| self.wrong(column, std::any::type_name::<T>()))
    }

    /// A value kept as JSON text.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn json<T: serde::de::DeserializeOwned>(&self, column: usize) -> Result<T, StoreError> {
        serde_json::from_str(self.text(column)?).map_err(|_| self.wrong(column, std::any::type_name::<T>()))
    }
}

/// A row that is read in the order of its statement's columns: nothing counts them, and none is left over unnoticed.
#[derive(Debug)]
pub(crate) struct Columns<'r> {
    row: &'r Row,
    next: usize,
}

impl<'r> Columns<'r> {
    /// The next column, by what of [`Row`] reads it.
    pub(crate) fn read<T>(
        &mut self,
        read: impl FnOnce(&'r Row, usize) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let column = self.next;
        self.next += 1;
        read(self.row, column)
    }

    /// Leaves that many columns out: of what is not there, the first says so for all.
    pub(crate) const fn pass(&mut self, many: usize) {
        self.next += many;
    }

    /// Says that this was all.
    ///
    /// # Errors
    /// [`StoreError::Inconsistent`] if it was not: the statement and what reads it are not in step.
    pub(crate) fn done(self) -> Result<(), StoreError> {
        match self.next == self.row.values.len() {
            true => Ok(()),
            false => Err(self.row.wrong(self.next, "the end of the row")),
        }
    }
}

/// A value as the JSON text that a column keeps.
///
/// # Errors
/// [`StoreError::Fault`] if it has no JSON form.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Fault(format!("a value to keep: {e}")))
}
