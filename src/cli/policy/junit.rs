//! Test results in the form that CI systems read: JUnit's XML.

use std::fmt::Write as _;

/// One case that was run.
pub(super) struct Case {
    /// What it belongs to, such as the policy's name.
    pub suite: String,
    /// Its own name.
    pub name: String,
    /// The file that it is in.
    pub file: String,
    /// Its line there, from 1.
    pub line: u32,
    /// What is wrong; nothing when it passed.
    pub problems: Vec<String>,
}

/// Returns cases as one document, a suite for each run of cases of the same one.
pub(super) fn document(cases: &[Case]) -> String {
    let failed = |cases: &[Case]| {
        cases
            .iter()
            .filter(|case| !case.problems.is_empty())
            .count()
    };
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let line = |out: &mut String, text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    let (n_cases, n_failed) = (cases.len(), failed(cases));
    line(
        &mut out,
        &format!("<testsuites tests=\"{n_cases}\" failures=\"{n_failed}\">"),
    );
    for suite in cases.chunk_by(|a, b| a.suite == b.suite) {
        let name = escaped(&suite[0].suite);
        let (n_cases, n_failed) = (suite.len(), failed(suite));
        line(
            &mut out,
            &format!("  <testsuite name=\"{name}\" tests=\"{n_cases}\" failures=\"{n_failed}\">"),
        );
        for case in suite {
            out += &element(case);
        }
        line(&mut out, "  </testsuite>");
    }
    line(&mut out, "</testsuites>");
    out
}

fn element(case: &Case) -> String {
    let Case {
        suite,
        name,
        file,
        line,
        problems,
    } = case;
    let mut out = format!(
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{line}\"",
        escaped(suite),
        escaped(name),
        escaped(file)
    );
    let Some(first) = problems.first() else {
        out += "/>\n";
        return out;
    };
    let place = format!("{file}:{line}");
    let text: String = problems
        .iter()
        .map(|problem| format!("{place}: {problem}\n"))
        .collect();
    // Writing into a string does not fail.
    let _ = writeln!(
        out,
        ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
        escaped(first),
        escaped(&text)
    );
    out
}

/// Returns a text for an attribute or an element; what XML cannot hold becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_case_names_its_file_and_line() {
        let case = |name: &str, problems: &[&str]| Case {
            suite: "app".to_owned(),
            name: name.to_owned(),
            file: "a/app.test.yaml".to_owned(),
            line: 7,
            problems: problems
                .iter()
                .map(|problem| (*problem).to_owned())
                .collect(),
        };
        let text = document(&[case("one", &[]), case("<two>", &["want \"x\" & \u{1b}"])]);
        let want = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <testsuites tests=\"2\" failures=\"1\">\n  \
            <testsuite name=\"app\" tests=\"2\" failures=\"1\">\n    \
            <testcase classname=\"app\" name=\"one\" file=\"a/app.test.yaml\" line=\"7\"/>\n    \
            <testcase classname=\"app\" name=\"&lt;two&gt;\" file=\"a/app.test.yaml\" line=\"7\">\n      \
            <failure message=\"want &quot;x&quot; &amp; \u{fffd}\">\
            a/app.test.yaml:7: want &quot;x&quot; &amp; \u{fffd}\n</failure>\n    </testcase>\n  \
            </testsuite>\n</testsuites>\n";
        assert_eq!(text, want);
    }
}
