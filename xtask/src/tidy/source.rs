//! A Rust file as the checks read it: code without comments and literals, the literals, and the paths that it names.
//!
//! Searching raw text for `axum` or `SELECT` would find them in prose. This is a lexer of a hundred lines instead of a
//! parser of a hundred thousand: the checks need to know what is code, what is a string, and what a `use` brings in.

/// One Rust file, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Its path relative to the root.
    pub(crate) path: String,
    /// The text as it is.
    pub(crate) text: String,
    /// The text with comments and the insides of literals blanked; lines stay where they are.
    pub(crate) code: String,
    /// Each string literal, in order.
    pub(crate) strings: Vec<Literal>,
    /// The lines of inline `#[cfg(test)] mod … { … }` blocks, first and last.
    tests: Vec<(usize, usize)>,
}

/// A string literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literal {
    /// The line that it begins on, from 1.
    pub(crate) line: usize,
    /// Where it begins in `Source::code`, in bytes.
    pub(crate) at: usize,
    /// What is between the quotes, as it is written.
    pub(crate) text: String,
}

/// A path such as `std::fs::read`, named on a line; what a `use` brings in is written out in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// The line, from 1.
    pub(crate) line: usize,
    /// The segments joined by `::`.
    pub(crate) path: String,
}

/// A piece of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A name, a keyword or a number.
    Word(String),
    /// `::`
    PathSeparator,
    /// Any other character.
    Sign(char),
}

impl Source {
    /// Takes `text` apart.
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let Lexed { code, strings } = lex(text);
        let tests = inline_tests(&tokens(&code));
        Self { path: path.to_owned(), text: text.to_owned(), code, strings, tests }
    }

    /// The crate's folder: `domain` for `crates/domain/src/lib.rs`, `xtask` for `xtask/src/main.rs`.
    pub(crate) fn room(&self) -> &str {
        let rest = self.path.strip_prefix("crates/").unwrap_or(&self.path);
        rest.split('/').next().unwrap_or_default()
    }

    /// True if the file is linked into tests only.
    pub(crate) fn is_test(&self) -> bool {
        let mut folders = self.path.split('/');
        let name = folders.next_back().unwrap_or_default();
        let in_test_folder =
            folders.any(|folder| matches!(folder, "tests" | "benches" | "examples" | "fuzz"));
        in_test_folder || name == "tests.rs" || name.ends_with("_tests.rs")
    }

    /// True if `line` is linked into tests only.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.is_test() || self.tests.iter().any(|&(first, last)| (first..=last).contains(&line))
    }

    /// Every path that the code names, those of `use` written out.
    pub(crate) fn paths(&self) -> Vec<Named> {
        let tokens = tokens(&self.code);
        let mut found = Vec::new();
        let mut at = 0;
        while let Some((line, token)) = tokens.get(at) {
            match token {
                Token::Word(word) if word == "use" => {
                    at = use_tree(&tokens, at + 1, String::new(), &mut found)
                }
                Token::Word(word) => {
                    let (path, next) = path_from(&tokens, at, word);
                    found.push(Named { line: *line, path });
                    at = next;
                }
                _ => at += 1,
            }
        }
        found
    }

    /// The code's tokens with their lines.
    pub(crate) fn tokens(&self) -> Vec<(usize, Token)> {
        tokens(&self.code)
    }
}

/// Reads a path that begins with the word at `at`; gives it and the index behind it.
fn path_from(tokens: &[(usize, Token)], at: usize, first: &str) -> (String, usize) {
    let mut path = first.to_owned();
    let mut next = at + 1;
    while let (Some((_, Token::PathSeparator)), Some((_, Token::Word(word)))) =
        (tokens.get(next), tokens.get(next + 1))
    {
        path.push_str("::");
        path.push_str(word);
        next += 2;
    }
    (path, next)
}

/// Reads one tree of a `use`, writes out its paths under `prefix`, and gives the index behind it.
fn use_tree(tokens: &[(usize, Token)], mut at: usize, prefix: String, found: &mut Vec<Named>) -> usize {
    let mut path = prefix;
    let mut line = tokens.get(at).map_or(0, |(line, _)| *line);
    let mut is_open = false;
    loop {
        match tokens.get(at) {
            Some((_, Token::PathSeparator)) => at += 1,
            Some((_, Token::Word(word))) if word == "as" => at += 2,
            Some((here, Token::Word(word))) => {
                line = *here;
                is_open = true;
                if !path.is_empty() {
                    path.push_str("::");
                }
                path.push_str(word);
                at += 1;
            }
            Some((_, Token::Sign('{'))) => {
                at = use_list(tokens, at + 1, &path, found);
                return at;
            }
            Some((here, Token::Sign('*'))) => {
                line = *here;
                is_open = true;
                path.push_str("::*");
                at += 1;
            }
            _ => {
                if is_open {
                    found.push(Named { line, path });
                }
                return at;
            }
        }
    }
}

/// Reads the trees between `{` and `}`; gives the index behind the brace.
fn use_list(tokens: &[(usize, Token)], mut at: usize, prefix: &str, found: &mut Vec<Named>) -> usize {
    loop {
        match tokens.get(at) {
            None => return at,
            Some((_, Token::Sign('}'))) => return at + 1,
            Some((_, Token::Sign(','))) => at += 1,
            Some(_) => {
                let next = use_tree(tokens, at, prefix.to_owned(), found);
                at = next.max(at + 1);
            }
        }
    }
}

/// Finds the inline test modules: `#[cfg(test)]`, then `mod name {`, to the brace that closes it.
fn inline_tests(tokens: &[(usize, Token)]) -> Vec<(usize, usize)> {
    let attribute = [
        Token::Sign('#'),
        Token::Sign('['),
        Token::Word("cfg".to_owned()),
        Token::Sign('('),
        Token::Word("test".to_owned()),
        Token::Sign(')'),
        Token::Sign(']'),
    ];
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let Some(window) = tokens.get(at..at + attribute.len()) else { break };
        if !window.iter().map(|(_, token)| token).eq(attribute.iter()) {
            continue;
        }
        let rest = tokens.get(at + attribute.len()..).unwrap_or_default();
        let head = rest.iter().take_while(|(_, token)| !matches!(token, Token::Sign('{' | ';'))).count();
        let is_module = rest.iter().take(head).any(|(_, token)| *token == Token::Word("mod".to_owned()));
        let opens = matches!(rest.get(head), Some((_, Token::Sign('{'))));
        if is_module
            && opens
            && let Some((first, _)) = tokens.get(at)
        {
            found.push((*first, closing_line(rest.get(head..).unwrap_or_default())));
        }
    }
    found
}

/// The line of the brace that closes the first one of `tokens`.
fn closing_line(tokens: &[(usize, Token)]) -> usize {
    let mut depth = 0_usize;
    let mut last = 0;
    for (line, token) in tokens {
        last = *line;
        match token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            break;
        }
    }
    last
}

fn tokens(code: &str) -> Vec<(usize, Token)> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut characters = code.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\n' {
            line += 1;
        } else if character.is_alphanumeric() || character == '_' {
            let mut word = String::from(character);
            while let Some(&next) = characters.peek()
                && (next.is_alphanumeric() || next == '_')
            {
                word.push(next);
                characters.next();
            }
            found.push((line, Token::Word(word)));
        } else if character == ':' && characters.peek() == Some(&':') {
            characters.next();
            found.push((line, Token::PathSeparator));
        } else if !character.is_whitespace() {
            found.push((line, Token::Sign(character)));
        }
    }
    found
}

struct Lexed {
    code: String,
    strings: Vec<Literal>,
}

/// What the lexer takes next.
enum Piece {
    /// This many characters of code.
    Code(usize),
    /// This many characters that are blanked.
    Blank(usize),
    /// A string literal: this many characters before its inside, of its inside, and behind it.
    Text(usize, usize, usize),
}

fn lex(text: &str) -> Lexed {
    let characters: Vec<char> = text.chars().collect();
    let mut lexed = Lexed { code: String::with_capacity(text.len()), strings: Vec::new() };
    let mut at = 0;
    let mut line = 1;
    while at < characters.len() {
        let rest = characters.get(at..).unwrap_or_default();
        let before = at.checked_sub(1).and_then(|before| characters.get(before)).copied();
        let (taken, keep) = match next_piece(rest, before) {
            Piece::Code(length) => (length, true),
            Piece::Blank(length) => (length, false),
            Piece::Text(opening, inside, closing) => {
                let length = opening + inside + closing;
                let inside = rest.iter().skip(opening).take(inside).collect();
                lexed.strings.push(Literal { line, at: lexed.code.len(), text: inside });
                (length, false)
            }
        };
        for &character in rest.iter().take(taken.max(1)) {
            line += usize::from(character == '\n');
            lexed.code.push(if keep || character == '\n' { character } else { ' ' });
        }
        at += taken.max(1);
    }
    lexed
}

fn next_piece(rest: &[char], before: Option<char>) -> Piece {
    let starts_word = !before.is_some_and(|before| before.is_alphanumeric() || before == '_');
    match rest {
        ['/', '/', ..] => Piece::Blank(rest.iter().take_while(|&&character| character != '\n').count()),
        ['/', '*', ..] => Piece::Blank(block_comment(rest)),
        ['"', ..] => quoted(rest, 1),
        ['b' | 'c', '"', ..] if starts_word => quoted(rest, 2),
        ['r', '"' | '#', ..] if starts_word => raw(rest, 1),
        ['b' | 'c', 'r', '"' | '#', ..] if starts_word => raw(rest, 2),
        ['\'', '\\', ..] => {
            Piece::Blank(3 + rest.iter().skip(3).take_while(|&&character| character != '\'').count() + 1)
        }
        ['\'', _, '\'', ..] => Piece::Blank(3),
        _ => Piece::Code(1),
    }
}

/// The length of a block comment, which may hold others.
fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(tail) = rest.get(at..) {
        match tail {
            [] => break,
            ['/', '*', ..] => {
                depth += 1;
                at += 2;
            }
            ['*', '/', ..] => {
                depth = depth.saturating_sub(1);
                at += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => at += 1,
        }
    }
    at
}

/// A string with escapes, whose quote is the last of `opening` characters.
fn quoted(rest: &[char], opening: usize) -> Piece {
    let mut inside = 0;
    while let Some(&character) = rest.get(opening + inside) {
        match character {
            '"' => return Piece::Text(opening, inside, 1),
            '\\' => inside += 2,
            _ => inside += 1,
        }
    }
    Piece::Text(opening, inside, 0)
}

/// A raw string, `prefix` characters before its hashes; `r#name` is code.
fn raw(rest: &[char], prefix: usize) -> Piece {
    let hashes = rest.iter().skip(prefix).take_while(|&&character| character == '#').count();
    if rest.get(prefix + hashes) != Some(&'"') {
        return Piece::Code(prefix + hashes);
    }
    let opening = prefix + hashes + 1;
    let mut inside = 0;
    while let Some(tail) = rest.get(opening + inside..) {
        let closes = tail.first() == Some(&'"')
            && tail.iter().skip(1).take(hashes).filter(|c| **c == '#').count() == hashes;
        if closes || tail.is_empty() {
            break;
        }
        inside += 1;
    }
    Piece::Text(opening, inside, 1 + hashes)
}
