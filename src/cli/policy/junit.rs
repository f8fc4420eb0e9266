//! JUnit XML of a case report, for CI: a case file is a testsuite, and a case a testcase.

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::policy::cases::{CaseReport, CaseResult};

/// Replaces characters that XML cannot express.
const REPLACEMENT: char = '\u{fffd}';

/// A report as JUnit XML.
pub(super) fn to_xml(report: &CaseReport) -> Result<String, SerializeError> {
    let mut all = Report::new("cedargate policy test");
    for of_one_file in report.results.chunk_by(|a, b| a.file == b.file) {
        let file = of_one_file.first().map_or("", |result| &result.file);
        let mut suite = TestSuite::new(replace_unwritable(file));
        suite.add_property(("revision", report.revision.to_string().as_str()));
        suite.add_test_cases(of_one_file.iter().map(test_case));
        all.add_test_suite(suite);
    }
    all.to_string()
}

fn test_case(result: &CaseResult) -> TestCase {
    let status = match &result.failure {
        None => TestCaseStatus::success(),
        Some(failure) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status
                .set_message(replace_unwritable(failure))
                .set_type("answer")
                .set_description(replace_unwritable(&result.describe()));
            status
        }
    };
    let mut case = TestCase::new(replace_unwritable(&result.name), status);
    let file = replace_unwritable(&result.file);
    case.set_classname(file.as_str());
    case.extra.insert("file".into(), file.into());
    case.extra
        .insert("line".into(), result.line.to_string().into());
    case
}

/// A text with what XML 1.0 cannot write marked (<https://www.w3.org/TR/xml/#charsets>): the crate
/// would drop it, and what follows an escape character too.
fn replace_unwritable(text: &str) -> String {
    let writable = |c: char| match c {
        '\n' => c,
        '\t' | '\r' => ' ',
        '\u{fffe}' | '\u{ffff}' => REPLACEMENT,
        c if c.is_control() => REPLACEMENT,
        c => c,
    };
    text.chars().map(writable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_write_is_marked_and_nothing_beside_it_is_lost() {
        for unwritable in ['\0', '\u{b}', '\u{1b}', '\u{9b}', '\u{fffe}', '\u{ffff}'] {
            let name = format!("a{unwritable}[31mb<c>&\"d");
            let case = TestCase::new(replace_unwritable(&name), TestCaseStatus::success());
            assert_eq!(case.name.as_str(), "a\u{fffd}[31mb<c>&\"d");
        }
        assert_eq!(replace_unwritable("é\tü\n𝄞"), "é ü\n𝄞");
    }
}
