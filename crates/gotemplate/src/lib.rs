//! Go's `text/template` with the hermetic part of the sprig functions.
//!
//! In: a template's text, a [`Value`] and [`Limits`]. Out: text, or an [`Error`] worded as Go words
//! it, with line, column and the piece of template. Maps are walked in the order of their keys.
//! Nothing here reads a clock, an environment, a file or a source of randomness; functions that
//! would need one are refused by name when they are called.
#![forbid(unsafe_code)]

mod ast;
mod call;
mod exec;
mod float;
mod functions;
mod lex;
mod number;
mod parse;
mod print;
mod value;

pub use value::{Field, List, Map, Struct, Value, Whole};

/// How deep blocks, parentheses, calls of templates and values may be nested.
pub(crate) const DEPTH_MAX: usize = 100;

/// Bounds of one execution.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the template's text.
    pub template_bytes: usize,
    /// Nodes that are run and elements that are made.
    pub steps: usize,
    /// Bytes of the output, and of any one text on the way to it.
    pub output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            template_bytes: 256 << 10,
            steps: 1_000_000,
            output_bytes: 1 << 20,
        }
    }
}

/// A template that cannot be parsed or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no template.
    #[error("template: {name}:{line}: {reason}")]
    Parse {
        /// The template's name.
        name: String,
        /// The line of the text.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The template cannot be run on this value.
    #[error(transparent)]
    Run(Box<Failure>),
    /// A bound was reached.
    #[error("template: {name}: {reason}")]
    Limit {
        /// The template's name.
        name: String,
        /// Which bound.
        reason: String,
    },
}

/// Where and why a template could not be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {name}:{line}:{column}: executing {template:?} at <{at}>: {reason}")]
pub struct Failure {
    /// The name that the text was parsed under.
    pub name: String,
    /// The line of the text.
    pub line: usize,
    /// The byte of the line.
    pub column: usize,
    /// The template that was running.
    pub template: String,
    /// The piece that was running.
    pub at: String,
    /// What is wrong with it.
    pub reason: String,
    /// The field that was asked for and is not there, with the type it was asked of.
    pub missing: Option<(String, String)>,
}

/// A parsed template.
#[derive(Debug)]
pub struct Template {
    name: String,
    text: String,
    limits: Limits,
    trees: ast::Trees,
}

impl Template {
    /// Parses a text. Fails when it is no template, calls a function that there is not, or is
    /// beyond a limit.
    pub fn parse(name: &str, text: &str, limits: Limits) -> Result<Self, Error> {
        if text.len() > limits.template_bytes {
            return Err(Error::Limit {
                name: name.to_owned(),
                reason: format!("text is larger than {} bytes", limits.template_bytes),
            });
        }
        let trees = parse::trees(name, text).map_err(|parse::Refusal { line, reason }| {
            let name = name.to_owned();
            Error::Parse { name, line, reason }
        })?;
        Ok(Self {
            name: name.to_owned(),
            text: text.to_owned(),
            limits,
            trees,
        })
    }

    /// Runs the template on a value. Fails where Go's fails, and at a limit.
    pub fn execute(&self, data: &Value) -> Result<String, Error> {
        exec::run(self, data)
    }

    /// Returns the line and the byte in it of a position in the text.
    fn place(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line = 1 + before.matches('\n').count();
        let column = before.rfind('\n').map_or(at, |newline| at - newline - 1);
        (line, column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Value {
        Value::text_map(&[("a".to_owned(), "b".to_owned())].into())
    }

    fn render(text: &str) -> Result<String, Error> {
        Template::parse("t", text, Limits::default())?.execute(&data())
    }

    #[test]
    fn templates_give_what_gos_give() {
        for (text, want) in [
            ("{{ .a }} {{ .z }}", "b <no value>"),
            (
                "{{ range $i, $x := list 1 2 }}{{ $i }}{{ $x }} {{ end }}",
                "01 12 ",
            ),
            ("{{ range 3 }}{{ . }}{{ end }}", "012"),
            ("{{ range list }}x{{ else }}none{{ end }}", "none"),
            (
                "{{ range until 9 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ if eq . 3 }}{{ break }}{{ end }}{{ . }}{{ end }}!",
                "02!",
            ),
            (
                "{{ with .z }}1{{ else with .a }}{{ . }}{{ else }}2{{ end }}",
                "b",
            ),
            ("{{ if .z }}1{{ else if .a }}2{{ else }}3{{ end }}", "2"),
            (
                "{{ block \"x\" 5 }}<{{ . }}>{{ end }}{{ template \"x\" 6 }}",
                "<5><6>",
            ),
            (
                "{{ $d := dict }}{{ $_ := set $d \"me\" $d }}{{ len $d }}",
                "1",
            ),
            ("{{ (dict \"k\" (list 1 2)).k }}", "[1 2]"),
            (
                "{{ printf \"%5d|%-5s|%05.1f|%x\" 42 \"ab\" 2.55 \"hi\" }}",
                "   42|ab   |002.5|6869",
            ),
            ("{{ print 1 2 \"x\" 3 }} {{ println \"y\" }}", "1 2x3 y\n"),
            ("{{ list \"a\" nil 1.5 | join \"-\" }}", "a-1.5"),
            ("{{ or .z \"x\" }}{{ and .a \"y\" }}{{ not .a }}", "xyfalse"),
            ("{{ \"a b\" | urlquery }}{{ html \"<\" }}", "a+b&lt;"),
        ] {
            assert_eq!(render(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn errors_name_line_byte_and_piece() {
        for (text, want) in [
            (
                "a\n b {{ .a.c }}",
                "template: t:2:8: executing \"t\" at <.a.c>: can't evaluate field c in type string",
            ),
            (
                "{{ upper 1 }}",
                "template: t:1:9: executing \"t\" at <1>: expected string; found 1",
            ),
            (
                "{{ index (list 1) 5 }}",
                "template: t:1:3: executing \"t\" at <index (list 1) 5>: error calling index: index out of range: 5",
            ),
            ("x\n{{ if }}", "template: t:2: missing value for if"),
            (
                "{{ bcrypt \"x\" }}",
                "template: t:1:3: executing \"t\" at <bcrypt \"x\">: error calling bcrypt: is not supported here",
            ),
        ] {
            let error = render(text).expect_err("the template is refused");
            assert_eq!(error.to_string(), want, "{text}");
        }
    }

    #[test]
    fn every_bound_is_an_error_and_no_hang() {
        let nested = |open: &str, close: &str| format!("{}{}", open.repeat(200), close.repeat(200));
        for (text, want) in [
            (
                "{{ range until 2000000000 }}{{ end }}",
                "more than 1000000 steps",
            ),
            ("{{ range 2000000000 }}{{ end }}", "more than 1000000 steps"),
            ("{{ repeat 2000000000 \"ab\" }}", "text is larger than"),
            ("{{ printf \"%*d\" 2000000000 1 }}", "%!(BADWIDTH)1"),
            (
                "{{ range until 9000 }}{{ repeat 1000 \"x\" }}{{ end }}",
                "output is larger than",
            ),
            ("{{ indent 2000000000 \"a\" }}", "text is larger than"),
            (
                "{{ define \"r\" }}{{ template \"r\" }}{{ end }}{{ template \"r\" }}",
                "nested deeper",
            ),
            (
                "{{ $l := list }}{{ range until 500 }}{{ $l = list $l }}{{ end }}",
                "nested deeper",
            ),
            (
                "{{ $d := dict }}{{ $_ := set $d \"me\" $d }}{{ $d }}",
                "nested deeper",
            ),
            (
                "{{ $d := dict }}{{ $_ := set $d \"me\" $d }}{{ toJson $d }}",
                "nested too deep",
            ),
            (
                "{{ $d := dict }}{{ $_ := set $d \"me\" $d }}{{ deepCopy $d }}",
                "nested deeper",
            ),
            (
                "{{ $d := dict }}{{ $_ := set $d \"me\" $d }}{{ deepEqual $d $d }}",
                "too deep",
            ),
            (&nested("{{ if 1 }}", "{{ end }}"), "nested deeper"),
            (
                &format!("{{{{ {} }}}}", nested("(", ")").replace("()", "(1)")),
                "nested deeper",
            ),
            (&"x".repeat((256 << 10) + 1), "text is larger than"),
        ] {
            let got = render(text).unwrap_or_else(|error| error.to_string());
            assert!(got.contains(want), "{text:.80}: {got:.80}");
        }
    }
}
