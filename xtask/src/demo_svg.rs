//! `cargo xtask demo-svg [BINARY]`: runs the demo and keeps what a terminal would show as `docs/demo.svg`.
//!
//! Here so that the picture in the README is the program's own output and is made again by one command. Times and ids
//! differ from run to run; everything else is the same.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::workspace::{Workspace, cargo};

#[cfg(test)]
mod tests;

/// Where the picture lies, below the workspace.
const PICTURE: &str = "docs/demo.svg";
/// The most bytes of the picture: it is fetched with every look at the README.
const MAX_BYTES: usize = 100 * 1024;
/// Columns of the terminal.
const COLUMNS: usize = 101;
/// Tenths of a pixel that a column is wide; whole numbers keep the picture the same everywhere.
const COLUMN_TENTHS: usize = 78;
/// Pixels that a line is high. With the font's size below, box-drawing characters of two lines meet.
const LINE_PIXELS: usize = 16;
/// Size of the font, in pixels.
const FONT_PIXELS: usize = 13;
/// Pixels around the text.
const MARGIN_PIXELS: usize = 14;
/// Pixels of the window's title bar.
const BAR_PIXELS: usize = 30;

/// Runs the demo of `binary`, or of one that is built for it, and writes the picture.
///
/// # Errors
/// If the demo fails, or the picture grows too large.
pub(crate) fn make(workspace: &Workspace, binary: Option<&str>) -> Result<()> {
    let mut command = match binary {
        Some(binary) => Command::new(binary),
        None => {
            // The profile that the whole tests use, so that one build serves both.
            let mut command = Command::new(cargo());
            command.args(["run", "--quiet", "--locked", "--profile", "ci-release"]);
            command.args(["--package", "portcullis-server", "--"]);
            command
        }
    };
    command.arg("demo").current_dir(&workspace.root).env("CLICOLOR_FORCE", "1").env_remove("NO_COLOR");
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("the demo failed:\n{}", String::from_utf8_lossy(&output.stdout));
    }
    let text = String::from_utf8(output.stdout).context("the demo's output")?;
    let picture = render(&text)?;
    if picture.len() > MAX_BYTES {
        bail!("the picture has {} bytes; {MAX_BYTES} at most", picture.len());
    }
    std::fs::write(workspace.root.join(PICTURE), &picture).with_context(|| PICTURE.to_owned())?;
    println!("{PICTURE}: {} bytes", picture.len());
    Ok(())
}

/// The picture of a terminal that shows this text.
///
/// # Errors
/// If a line is wider than the terminal or has an escape sequence that is no colour.
pub(crate) fn render(text: &str) -> Result<String> {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let width = COLUMNS * COLUMN_TENTHS / 10 + 2 * MARGIN_PIXELS;
    let height = BAR_PIXELS + (lines.len() + 1) * LINE_PIXELS + MARGIN_PIXELS;
    let mut svg = String::new();
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" xml:space=\"preserve\" role=\"img\" aria-label=\"The output of portcullis demo\">\n\
         <style>text{{font:{FONT_PIXELS}px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;\
         white-space:pre;fill:#d5dbe3}}.g{{fill:#6fd08c}}.r{{fill:#ff8f80}}.q{{fill:#8b96a5}}.n{{fill:#7cc7e8}}\
         .b{{fill:#fff;font-weight:600}}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"9\" fill=\"#14181f\"/>\n\
         <circle cx=\"20\" cy=\"17\" r=\"5\" fill=\"#39414d\"/><circle cx=\"37\" cy=\"17\" r=\"5\" fill=\"#39414d\"/>\
         <circle cx=\"54\" cy=\"17\" r=\"5\" fill=\"#39414d\"/>\n\
         <text x=\"{}\" y=\"21\" text-anchor=\"middle\" class=\"q\">portcullis demo</text>",
        width / 2
    )?;
    for (at, line) in lines.iter().enumerate() {
        let baseline = BAR_PIXELS + (at + 1) * LINE_PIXELS;
        for piece in pieces(line)? {
            draw(&mut svg, &piece, baseline)?;
        }
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Characters of one colour.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The column of the first character, from 0.
    pub(crate) column: usize,
    /// The class of its colour; empty for plain text.
    pub(crate) class: &'static str,
    /// The characters.
    pub(crate) text: String,
}

/// The pieces of a line: colours begin and end by escape sequences.
///
/// # Errors
/// As [`render`].
pub(crate) fn pieces(line: &str) -> Result<Vec<Piece>> {
    let mut found = Vec::new();
    let (mut column, mut class) = (0, "");
    for (at, part) in line.split('\u{1b}').enumerate() {
        let text = if at == 0 {
            part
        } else {
            let (code, text) = part.split_once('m').with_context(|| format!("no colour: `{part}`"))?;
            class = match code {
                "[0" => "",
                "[1" => "b",
                "[31" => "r",
                "[32" => "g",
                "[36" => "n",
                "[90" => "q",
                other => bail!("`{other}` is not a colour of the demo"),
            };
            text
        };
        let wide = text.chars().count();
        let bare = text.trim_start();
        let skipped = wide - bare.chars().count();
        if !bare.trim_end().is_empty() {
            found.push(Piece { column: column + skipped, class, text: bare.trim_end().to_owned() });
        }
        column += wide;
    }
    if column > COLUMNS {
        bail!("a line of {column} columns: {line}");
    }
    Ok(found)
}

/// Each piece stands at its own column and has its own length, so that columns meet in every font.
fn draw(svg: &mut String, piece: &Piece, baseline: usize) -> Result<()> {
    let pixels = |tenths: usize| format!("{}.{}", tenths / 10, tenths % 10);
    let x = pixels(MARGIN_PIXELS * 10 + piece.column * COLUMN_TENTHS);
    let length = pixels(piece.text.chars().count() * COLUMN_TENTHS);
    let class = if piece.class.is_empty() { String::new() } else { format!(" class=\"{}\"", piece.class) };
    let text = piece.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    writeln!(svg, "<text x=\"{x}\" y=\"{baseline}\" textLength=\"{length}\"{class}>{text}</text>")?;
    Ok(())
}
