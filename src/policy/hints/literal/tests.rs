//! Texts and the literals that they become.

use super::*;

/// Every literal that is offered is one that Cedar takes, and says what was meant.
#[test]
fn texts_become_the_literals_that_they_were_meant_as() {
    let expected = [
        (LiteralType::Datetime, "2027-01-01", Some("2027-01-01")),
        (LiteralType::Datetime, "2027-1-1", Some("2027-01-01")),
        (LiteralType::Datetime, "2027/02/03", Some("2027-02-03")),
        (
            LiteralType::Datetime,
            "2027-01-01 12:00",
            Some("2027-01-01T12:00:00Z"),
        ),
        (
            LiteralType::Datetime,
            "2027-01-01T12:00",
            Some("2027-01-01T12:00:00Z"),
        ),
        (
            LiteralType::Datetime,
            "2027-01-01 12:00:30",
            Some("2027-01-01T12:00:30Z"),
        ),
        (
            LiteralType::Datetime,
            "2027-01-01t12:00:00z",
            Some("2027-01-01T12:00:00Z"),
        ),
        (
            LiteralType::Datetime,
            "2027-01-01T12:00:00+02:00",
            Some("2027-01-01T12:00:00+0200"),
        ),
        (
            LiteralType::Datetime,
            "2027-01-01 12:00:00 UTC",
            Some("2027-01-01T12:00:00Z"),
        ),
        (LiteralType::Datetime, "1 January 2027", Some("2027-01-01")),
        (LiteralType::Datetime, "Jan 31, 2027", Some("2027-01-31")),
        (LiteralType::Datetime, "31.12.2026", Some("2026-12-31")),
        (LiteralType::Datetime, "01/02/2027", None),
        (LiteralType::Datetime, "2027-02-30", None),
        (LiteralType::Datetime, "tomorrow", None),
        (LiteralType::Duration, "22h", Some("22h")),
        (LiteralType::Duration, "22:00", Some("22h")),
        (LiteralType::Duration, "22:30", Some("22h30m")),
        (LiteralType::Duration, "10 PM", Some("22h")),
        (LiteralType::Duration, "12 AM", Some("0s")),
        (LiteralType::Duration, "30m22h", Some("22h30m")),
        (LiteralType::Duration, "90 minutes", Some("1h30m")),
        (LiteralType::Duration, "1.5h", Some("1h30m")),
        (LiteralType::Duration, "PT22H", Some("22h")),
        (LiteralType::Duration, "P1DT2H", Some("1d2h")),
        (LiteralType::Duration, "2 weeks", Some("14d")),
        (LiteralType::Duration, "a while", None),
        (LiteralType::Duration, "22", None),
        (LiteralType::Ip, "10.0.0.0/8", Some("10.0.0.0/8")),
        (LiteralType::Ip, "10.0.0/8", Some("10.0.0.0/8")),
        (LiteralType::Ip, "10.*", Some("10.0.0.0/8")),
        (LiteralType::Ip, "192.0.2.*", Some("192.0.2.0/24")),
        (LiteralType::Ip, "10.0.0.0/255.0.0.0", Some("10.0.0.0/8")),
        (LiteralType::Ip, "[2001:db8::1]", Some("2001:db8::1")),
        (LiteralType::Ip, "2001:DB8::/32", Some("2001:db8::/32")),
        (LiteralType::Ip, "::ffff:192.0.2.7", Some("192.0.2.7")),
        (LiteralType::Ip, "192.0.2.7:8080", Some("192.0.2.7")),
        (LiteralType::Ip, "192.0.2.7/24", Some("192.0.2.0/24")),
        (LiteralType::Ip, "localhost", Some("127.0.0.1")),
        (LiteralType::Ip, "10.0.0.0/33", None),
        (LiteralType::Ip, "10.0.0.300", None),
        (LiteralType::Ip, "office", None),
        (LiteralType::Decimal, "2.5", Some("2.5")),
        (LiteralType::Decimal, "2", Some("2.0")),
        (LiteralType::Decimal, "-0,25", Some("-0.25")),
        (LiteralType::Decimal, "1.50000", Some("1.5")),
        (LiteralType::Decimal, "1.123456", None),
        (LiteralType::Decimal, "many", None),
    ];
    for (kind, text, argument) in expected {
        let written = argument.map(|argument| format!("{}(\"{argument}\")", kind.function()));
        assert_eq!(kind.of_text(text), written, "{text}");
        if let Some(written) = written {
            let policy =
                format!("permit (principal, action, resource) when {{ {written} == {written} }};");
            let policies: cedar_policy::PolicySet = policy.parse().unwrap();
            let entities = cedar_policy::Entities::empty();
            let uid: cedar_policy::EntityUid = "U::\"u\"".parse().unwrap();
            let context = cedar_policy::Context::empty();
            let request =
                cedar_policy::Request::new(uid.clone(), uid.clone(), uid, context, None).unwrap();
            let response =
                cedar_policy::Authorizer::new().is_authorized(&request, &policies, &entities);
            assert_eq!(response.diagnostics().errors().count(), 0, "{written}");
        }
    }
}
