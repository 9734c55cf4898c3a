//! Writes a file anew, so that each of its mutants is there at once and one of them, or none, is chosen when it runs.
//!
//! Every form means what the code means where no mutant is chosen, evaluates each operand once and in its order, and may
//! have others inside. A mark remembers which mutants a stretch of the new text is there for, because the compiler's
//! errors are told by their places.

use std::ops::Range;

use super::sites::{Kind, Other, Site};

/// The new text of a file.
#[derive(Debug, Default)]
pub(super) struct Rewritten {
    /// The text.
    pub(super) text: String,
    /// What stands where, by byte offsets.
    marks: Vec<(Range<usize>, Vec<u32>)>,
}

impl Rewritten {
    /// The mutants that the narrowest marked stretch around `range` is there for.
    pub(super) fn around(&self, range: &Range<usize>) -> &[u32] {
        let around = self.marks.iter().filter(|(mark, _)| mark.start <= range.start && range.end <= mark.end);
        around.min_by_key(|(mark, _)| mark.len()).map_or(&[], |(_, numbers)| numbers)
    }
}

/// Writes `text` with `sites`, which are in the order that [`super::sites::find`] gives them.
pub(super) fn rewrite(text: &str, sites: &[Site]) -> Rewritten {
    let mut writer = Writer { from: text, to: Rewritten::default() };
    writer.stretch(0..text.len(), sites);
    writer.to
}

struct Writer<'a> {
    from: &'a str,
    to: Rewritten,
}

impl Writer<'_> {
    fn put(&mut self, text: &str) {
        self.to.text.push_str(text);
    }

    fn put_from(&mut self, range: Range<usize>) {
        self.to.text.push_str(self.from.get(range).unwrap_or_default());
    }

    /// What is between `range`, with those of `sites` that are in it.
    fn stretch(&mut self, range: Range<usize>, sites: &[Site]) {
        let mut at = range.start;
        for (index, site) in sites.iter().enumerate() {
            if site.range.start < at || site.range.end > range.end {
                continue;
            }
            self.put_from(at..site.range.start);
            let rest = sites.get(index + 1..).unwrap_or_default();
            let inside = rest.iter().take_while(|other| other.range.end <= site.range.end).count();
            self.site(site, rest.get(..inside).unwrap_or_default());
            at = site.range.end;
        }
        self.put_from(at..range.end);
    }

    fn site(&mut self, site: &Site, inside: &[Site]) {
        let start = self.to.text.len();
        match &site.kind {
            Kind::Const => {}
            Kind::Head(others) => {
                for (number, value) in others {
                    self.marked(*number, &format!("if {} {{ return {value}; }} ", chosen(*number)));
                }
            }
            Kind::Arm(number) => self.put(&format!(" if !{}", chosen(*number))),
            Kind::Guard(others) => self.guard(site, others, inside),
            Kind::Unary { number, operator, operand } => {
                self.put("(match (");
                self.stretch(operand.clone(), inside);
                self.put(&format!(") {{ mutant_of => if {} {{ mutant_of }} else {{ ", chosen(*number)));
                self.put(&format!("{operator}mutant_of }} }})"));
            }
            Kind::Binary { operator, left, right, others } => {
                self.binary(operator, (left, right), others, inside);
            }
            Kind::Struct(fields) => self.literal(site, fields, inside),
        }
        let numbers = site.kind.numbers();
        self.to.marks.push((start..self.to.text.len(), numbers));
    }

    /// Text that is there for one mutant alone.
    fn marked(&mut self, number: u32, text: &str) {
        let start = self.to.text.len();
        self.put(text);
        self.to.marks.push((start..self.to.text.len(), vec![number]));
    }

    fn guard(&mut self, site: &Site, others: &[Other], inside: &[Site]) {
        self.put("(");
        for (number, _) in others.iter().filter(|(_, value)| value == "true") {
            self.put(&format!("{} || ", chosen(*number)));
        }
        for (number, _) in others.iter().filter(|(_, value)| value != "true") {
            self.put(&format!("!{} && ", chosen(*number)));
        }
        self.put("(");
        self.stretch(site.range.clone(), inside);
        self.put("))");
    }

    fn binary(
        &mut self,
        operator: &str,
        (left, right): (&Range<usize>, &Range<usize>),
        others: &[Other],
        inside: &[Site],
    ) {
        let is_assigning = operator.ends_with('=') && !matches!(operator, "==" | "!=" | "<=" | ">=");
        match (operator, others) {
            ("&&" | "||", [(number, _)]) => {
                self.put("({ let mutant_left: bool = ");
                self.stretch(left.clone(), inside);
                self.put(&format!("; if mutant_left ^ {} {{ ", chosen(*number)));
                if operator == "||" {
                    self.put("mutant_left } else { ");
                }
                self.stretch(right.clone(), inside);
                self.put(if operator == "||" { " } })" } else { " } else { mutant_left } })" });
            }
            ("==" | "!=", [(number, _)]) => {
                self.put("(((");
                self.stretch(left.clone(), inside);
                self.put(&format!(") {operator} ("));
                self.stretch(right.clone(), inside);
                self.put(&format!(")) ^ {})", chosen(*number)));
            }
            _ if is_assigning => {
                self.put("(match (");
                self.stretch(right.clone(), inside);
                self.put(") { mutant_right => ");
                self.choice(others, operator, |writer, operator| {
                    writer.stretch(left.clone(), inside);
                    writer.put(&format!(" {operator} mutant_right"));
                });
                self.put(" })");
            }
            _ => {
                // A comparison looks at its operands where they are; anything else takes them.
                let compares = matches!(operator, "<" | ">" | "<=" | ">=");
                let (take, give) = if compares { ("&", "*") } else { ("", "") };
                self.put(&format!("(match ({take}("));
                self.stretch(left.clone(), inside);
                self.put(&format!("), {take}("));
                self.stretch(right.clone(), inside);
                self.put(")) { (mutant_left, mutant_right) => ");
                self.choice(others, operator, |writer, operator| {
                    writer.put(&format!("{give}mutant_left {operator} {give}mutant_right"));
                });
                self.put(" })");
            }
        }
    }

    /// The operators instead, and the one that was written where none is chosen.
    fn choice(&mut self, others: &[Other], operator: &str, mut write: impl FnMut(&mut Self, &str)) {
        for (number, other) in others {
            let start = self.to.text.len();
            self.put(&format!("if {} {{ ", chosen(*number)));
            write(self, other);
            self.put(" } else ");
            self.to.marks.push((start..self.to.text.len(), vec![*number]));
        }
        self.put("{ ");
        write(self, operator);
        self.put(" }");
    }

    fn literal(&mut self, site: &Site, fields: &[(u32, Range<usize>)], inside: &[Site]) {
        self.put("(");
        for (number, field) in fields {
            let start = self.to.text.len();
            self.put(&format!("if {} {{ ", chosen(*number)));
            self.stretch(site.range.start..field.start, inside);
            self.stretch(field.end..site.range.end, inside);
            self.put(" } else ");
            self.to.marks.push((start..self.to.text.len(), vec![*number]));
        }
        self.put("{ ");
        self.stretch(site.range.clone(), inside);
        self.put(" })");
    }
}

fn chosen(number: u32) -> String {
    format!("crate::mutant::is({number})")
}
