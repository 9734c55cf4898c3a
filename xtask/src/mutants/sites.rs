//! Where the mutants of a file are: its syntax tree is walked once, and each mutant of the list is found by its place.
//!
//! What is not found cannot be put behind a switch: what the compiler works out (constants, the lengths of arrays).

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use anyhow::{Context, Result};
use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, Member, Pat, Signature, UnOp};

use super::list::{Genre, Mutant, Place};

/// A number, and what is written instead where it is chosen.
pub(super) type Other = (u32, String);

/// A place of the text that is written anew, by byte offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Site {
    /// What is replaced; empty where something is put between.
    pub(super) range: Range<usize>,
    /// How.
    pub(super) kind: Kind,
}

/// How a site is written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// At the head of a body: these values instead.
    Head(Vec<Other>),
    /// `const` before `fn`, which could not ask which mutant is chosen.
    Const,
    /// Behind the pattern of an arm that is deleted.
    Arm(u32),
    /// A guard that becomes true or false.
    Guard(Vec<Other>),
    /// An operator before an operand, which stays.
    Unary { number: u32, operator: String, operand: Range<usize> },
    /// An operator between operands, and others instead.
    Binary { operator: String, left: Range<usize>, right: Range<usize>, others: Vec<Other> },
    /// A struct with a base, and fields (to the comma behind them) that are left out of it.
    Struct(Vec<(u32, Range<usize>)>),
}

/// What was found in a file.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Outer before inner, and in the order of the text.
    pub(super) sites: Vec<Site>,
    /// The numbers that have a site.
    pub(super) numbers: BTreeSet<u32>,
    /// Those that no compiler takes: `||` among the conditions of a `let`.
    pub(super) unviable: BTreeSet<u32>,
}

impl Kind {
    /// The numbers of the mutants of the site.
    pub(super) fn numbers(&self) -> Vec<u32> {
        match self {
            Self::Const => Vec::new(),
            Self::Arm(number) | Self::Unary { number, .. } => vec![*number],
            Self::Head(others) | Self::Guard(others) | Self::Binary { others, .. } => {
                others.iter().map(|(number, _)| *number).collect()
            }
            Self::Struct(fields) => fields.iter().map(|(number, _)| *number).collect(),
        }
    }

    /// A guard may be one operation from its first to its last character; then the guard is outside.
    fn is_within(&self) -> bool {
        !matches!(self, Self::Guard(_))
    }
}

/// Finds the sites of `mutants` in the file `text`. Functions in `constant` stay constant.
pub(super) fn find(text: &str, mutants: &[(u32, &Mutant)], constant: &BTreeSet<String>) -> Result<Found> {
    let file = syn::parse_file(text).context("the file is no Rust")?;
    let mut by_place: HashMap<(Genre, Place), Vec<Other>> = HashMap::new();
    for (number, mutant) in mutants {
        let place = by_place.entry((mutant.genre, mutant.span.start)).or_default();
        place.push((*number, mutant.replacement.clone()));
    }
    let mut walk = Walk { by_place, constant, found: Found::default() };
    walk.visit_file(&file);
    let mut found = walk.found;
    found.sites.sort_by_key(|site| {
        (site.range.start, !site.range.is_empty(), Reverse(site.range.end), site.kind.is_within())
    });
    found.numbers = found.sites.iter().flat_map(|site| site.kind.numbers()).collect();
    Ok(found)
}

struct Walk<'a> {
    by_place: HashMap<(Genre, Place), Vec<Other>>,
    constant: &'a BTreeSet<String>,
    found: Found,
}

impl Walk<'_> {
    fn take(&mut self, genre: Genre, span: Span) -> Vec<Other> {
        let start = span.start();
        let place = Place { line: start.line, column: start.column + 1 };
        self.by_place.remove(&(genre, place)).unwrap_or_default()
    }

    fn add(&mut self, range: Range<usize>, kind: Kind) {
        self.found.sites.push(Site { range, kind });
    }

    /// A function whose body `walk` walks.
    fn function(&mut self, signature: &Signature, block: &Block, walk: impl FnOnce(&mut Self)) {
        if signature.constness.is_some() && self.constant.contains(&signature.ident.to_string()) {
            return;
        }
        let before = self.found.sites.len();
        if let Some(first) = block.stmts.first() {
            let mut others = self.take(Genre::FnValue, first.span());
            // It stands for one type, which the body gives, and no other value has it.
            if signature.output.span().source_text().is_some_and(|output| output.contains("impl ")) {
                others.clear();
            }
            let start = first.span().byte_range().start;
            if !others.is_empty() {
                self.add(start..start, Kind::Head(others));
            }
        }
        walk(self);
        if let Some(constness) = signature.constness
            && self.found.sites.len() > before
        {
            self.add(constness.span.byte_range(), Kind::Const);
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_generic_argument(&mut self, _: &'ast syn::GenericArgument) {}
    fn visit_variant(&mut self, _: &'ast syn::Variant) {}

    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block, |walk| visit::visit_item_fn(walk, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block, |walk| visit::visit_impl_item_fn(walk, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        match &item.default {
            Some(block) => {
                self.function(&item.sig, block, |walk| visit::visit_trait_item_fn(walk, item));
            }
            None => visit::visit_trait_item_fn(self, item),
        }
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let others = self.take(Genre::BinaryOperator, binary.op.span());
        let binds = has_let(&binary.left) || has_let(&binary.right);
        if matches!(binary.op, BinOp::And(_)) && binds {
            self.found.unviable.extend(others.iter().map(|(number, _)| *number));
        } else if !others.is_empty() {
            let (left, right) = (binary.left.span().byte_range(), binary.right.span().byte_range());
            let operator = binary.op.span().source_text().unwrap_or_default();
            self.add(left.start..right.end, Kind::Binary { operator, left, right, others });
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        if let Some((number, _)) = self.take(Genre::UnaryOperator, unary.op.span()).pop() {
            let operator = if matches!(unary.op, UnOp::Not(_)) { "!" } else { "-" }.to_owned();
            let operand = unary.expr.span().byte_range();
            let range = unary.op.span().byte_range().start..operand.end;
            self.add(range, Kind::Unary { number, operator, operand });
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_match(&mut self, chosen: &'ast syn::ExprMatch) {
        // cargo-mutants takes `_ if …` for an arm that takes the rest. The compiler does not, and points at none of the arms.
        let takes_rest = |arm: &syn::Arm| arm.guard.is_none() && matches!(arm.pat, Pat::Wild(_));
        if !chosen.arms.iter().any(takes_rest) {
            for arm in chosen.arms.iter().filter(|arm| arm.guard.is_none()) {
                let deleted = self.take(Genre::MatchArm, arm.span());
                self.found.unviable.extend(deleted.iter().map(|(number, _)| *number));
            }
        }
        visit::visit_expr_match(self, chosen);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if let Some((number, _)) = self.take(Genre::MatchArm, arm.span()).pop() {
            let end = arm.pat.span().byte_range().end;
            self.add(end..end, Kind::Arm(number));
        }
        if let Some((_, guard)) = &arm.guard {
            let others = self.take(Genre::MatchArmGuard, guard.span());
            if !others.is_empty() {
                self.add(guard.span().byte_range(), Kind::Guard(others));
            }
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, literal: &'ast syn::ExprStruct) {
        let mut left_out = Vec::new();
        for pair in literal.fields.pairs() {
            let field = pair.value();
            if !matches!(field.member, Member::Named(_)) {
                continue;
            }
            let start = field.span().byte_range().start;
            let end = pair.punct().map_or(field.span().byte_range().end, |comma| comma.span.byte_range().end);
            for (number, _) in self.take(Genre::StructField, field.span()) {
                left_out.push((number, start..end));
            }
        }
        if !left_out.is_empty() {
            self.add(literal.span().byte_range(), Kind::Struct(left_out));
        }
        visit::visit_expr_struct(self, literal);
    }
}

/// Whether a condition binds names: what is wrapped binds none for those behind it.
fn has_let(condition: &Expr) -> bool {
    match condition {
        Expr::Let(_) => true,
        Expr::Binary(binary) if matches!(binary.op, BinOp::And(_)) => {
            has_let(&binary.left) || has_let(&binary.right)
        }
        _ => false,
    }
}
