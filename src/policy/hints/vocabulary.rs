//! Words of other languages and products for Cedar's variables, functions and methods.

/// Words for no value.
const NO_VALUE: [&str; 7] = ["null", "nil", "none", "undefined", "void", "empty", "na"];
/// Words for the variables, with the paths to them in other products; the longest first.
pub(super) const VARIABLES: [(&str, &str); 27] = [
    ("request.principal.attributes", "principal"),
    ("request.resource.attributes", "resource"),
    ("request.principal.attr", "principal"),
    ("request.resource.attr", "resource"),
    ("request.principal", "principal"),
    ("request.resource", "resource"),
    ("request.user", "principal"),
    ("request.action", "action"),
    ("request.context", "context"),
    ("input.principal", "principal"),
    ("input.resource", "resource"),
    ("input.subject", "principal"),
    ("input.user", "principal"),
    ("input.action", "action"),
    ("input.object", "resource"),
    ("principal.attr", "principal"),
    ("resource.attr", "resource"),
    ("P.attr", "principal"),
    ("R.attr", "resource"),
    ("subject", "principal"),
    ("user", "principal"),
    ("dataset", "resource"),
    ("object", "resource"),
    ("request", "context"),
    ("input", "context"),
    ("environment", "context"),
    ("env", "context"),
];
/// The methods of Cedar, and words for them.
pub(super) const METHODS: [(&str, &[&str]); 11] = [
    (
        "contains",
        &[
            "contains", "includes", "include", "has", "member", "ismember", "in", "contain",
            "exists", "hasrole", "any",
        ],
    ),
    (
        "containsAny",
        &[
            "containsany",
            "includesany",
            "intersects",
            "hasany",
            "hasintersection",
            "overlaps",
        ],
    ),
    (
        "containsAll",
        &[
            "containsall",
            "includesall",
            "hasall",
            "superset",
            "issupersetof",
        ],
    ),
    ("isEmpty", &["isempty", "empty"]),
    (
        "isInRange",
        &[
            "isinrange",
            "inrange",
            "inipaddrrange",
            "insubnet",
            "isinsubnet",
            "incidr",
            "insidenetwork",
            "isin",
        ],
    ),
    ("getTag", &["gettag", "tag", "getattribute", "attr", "get"]),
    ("hasTag", &["hastag", "hasattribute", "hasattr"]),
    (
        "durationSince",
        &["durationsince", "since", "minus", "sub", "diff"],
    ),
    ("offset", &["plus", "add", "adddays", "addhours"]),
    ("toTime", &["totime", "timeofday", "gettime"]),
    ("toDate", &["todate", "date", "getdate", "day", "trunc"]),
];
/// The functions of Cedar, and words for them.
pub(super) const FUNCTIONS: [(&str, &[&str]); 4] = [
    (
        "datetime",
        &[
            "datetime",
            "date",
            "timestamp",
            "time",
            "todatetime",
            "parsedate",
        ],
    ),
    (
        "duration",
        &["duration", "interval", "timedelta", "parseduration"],
    ),
    (
        "ip",
        &[
            "ip",
            "ipaddr",
            "ipaddress",
            "cidr",
            "inet",
            "network",
            "ipnet",
            "subnet",
        ],
    ),
    ("decimal", &["decimal", "float", "number", "double"]),
];

/// What to do instead of counting.
pub(super) const NOT_COUNTED: &str =
    "sets are not counted: test with `contains`, `containsAny` or `isEmpty()`";

/// Whether a word stands for no value in another language.
pub(super) fn is_no_value(word: &str) -> bool {
    NO_VALUE.contains(&word.to_ascii_lowercase().as_str())
}
