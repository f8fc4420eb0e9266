//! Literals of extension types: what a text was most likely meant as, written as Cedar reads it.
//!
//! Cedar's `datetime` takes `2027-01-01`, `2027-01-01T12:00:00Z` and offsets such as `+0200`, its `duration`
//! `1d2h3m4s5ms` in this order, its `ip` an address or a range with a prefix length, its `decimal` one to four
//! digits after the point (<https://docs.cedarpolicy.com/policies/syntax-datatypes.html>). Others write a time with
//! a space, a clock time, a netmask. A text with more than one meaning, such as `01/02/2027`, is not guessed.

use std::net::{IpAddr, Ipv4Addr};

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use ipnet::{IpNet, Ipv4Net};

/// How dates are written, beside RFC 3339: none of them can be read in two ways.
const DATES: [&str; 7] = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%d.%m.%Y",
    "%d %B %Y",
    "%B %d, %Y",
];
/// How times of the day are written.
const CLOCK_TIMES: [&str; 4] = ["%H:%M:%S%.f", "%H:%M:%S", "%H:%M", "%I:%M %p"];
/// The units of a duration, largest first, in milliseconds, with the words for them.
const UNITS: [(&str, i64, &[&str]); 5] = [
    ("d", 86_400_000, &["d", "day", "days"]),
    ("h", 3_600_000, &["h", "hr", "hrs", "hour", "hours"]),
    ("m", 60_000, &["m", "min", "mins", "minute", "minutes"]),
    ("s", 1_000, &["s", "sec", "secs", "second", "seconds"]),
    (
        "ms",
        1,
        &["ms", "milli", "millis", "millisecond", "milliseconds"],
    ),
];
const WEEK: i64 = 7 * 86_400_000;
/// Unix times in seconds from 2001 until 2286 have ten digits; in milliseconds thirteen.
const UNIX_SECONDS: std::ops::Range<i64> = 1_000_000_000..10_000_000_000;

/// The extension types that have literals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LiteralType {
    Datetime,
    Decimal,
    Duration,
    Ip,
}

impl LiteralType {
    /// By Cedar's name of the type, or of the function that makes it.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        match name {
            "datetime" => Some(Self::Datetime),
            "decimal" => Some(Self::Decimal),
            "duration" => Some(Self::Duration),
            "ip" | "ipaddr" => Some(Self::Ip),
            _ => None,
        }
    }

    /// The function that makes it.
    pub(super) fn function(self) -> &'static str {
        match self {
            Self::Datetime => "datetime",
            Self::Decimal => "decimal",
            Self::Duration => "duration",
            Self::Ip => "ip",
        }
    }

    /// What to write, for a text whose meaning is unknown.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Datetime => "datetime(\"2027-01-31\") or datetime(\"2027-01-31T12:00:00Z\")",
            Self::Decimal => "decimal(\"1.5\"), with one to four digits after the point",
            Self::Duration => "duration(\"22h\") or duration(\"1d2h30m\")",
            Self::Ip => "ip(\"192.0.2.7\") or ip(\"192.0.2.0/24\")",
        }
    }

    /// The literal that a text was meant as, such as `datetime("2027-01-01")`.
    pub(super) fn of_text(self, text: &str) -> Option<String> {
        let text = text.trim();
        let argument = match self {
            Self::Datetime => datetime(text),
            Self::Decimal => decimal(text),
            Self::Duration => duration(text),
            Self::Ip => ip(text),
        }?;
        Some(format!("{}(\"{argument}\")", self.function()))
    }

    /// The literal that a number was meant as.
    pub(super) fn of_number(self, number: i64) -> Option<String> {
        match self {
            Self::Datetime => {
                let is_seconds = UNIX_SECONDS.contains(&number);
                let seconds = if is_seconds { number } else { number / 1_000 };
                let time = DateTime::from_timestamp(seconds, 0)?;
                let time = time.format("%Y-%m-%dT%H:%M:%SZ");
                UNIX_SECONDS
                    .contains(&seconds)
                    .then(|| format!("datetime(\"{time}\")"))
            }
            Self::Decimal => Some(format!("decimal(\"{number}.0\")")),
            // What is compared with a number of hours is nearly always the time of the day.
            Self::Duration => (0..=24)
                .contains(&number)
                .then(|| format!("duration(\"{number}h\")")),
            Self::Ip => None,
        }
    }
}

/// The address or the range of addresses that a text was meant as, as policies have it.
pub(in crate::policy) fn address_range(text: &str) -> Option<String> {
    ip(text.trim())
}

fn datetime(text: &str) -> Option<String> {
    let text = text.replace(['t', 'T'], "T");
    if let Ok(time) = DateTime::parse_from_rfc3339(&text.replacen(' ', "T", 1)) {
        return Some(with_offset(&time));
    }
    for format in [
        "%Y-%m-%dT%H:%M:%S%.f%z",
        "%Y-%m-%d %H:%M:%S%z",
        "%Y-%m-%dT%H:%M%z",
        "%Y-%m-%d %H:%M%z",
    ] {
        if let Ok(time) = DateTime::parse_from_str(&text, format) {
            return Some(with_offset(&time));
        }
    }
    let original = text.trim_end_matches(" UTC").trim_end_matches('Z').trim();
    // "T" also begins the names of days and stands in no month.
    for date in DATES {
        if let Ok(day) = NaiveDate::parse_from_str(original, date) {
            return Some(day.format("%Y-%m-%d").to_string());
        }
        for clock in CLOCK_TIMES {
            for between in ["T", " ", ", "] {
                let format = format!("{date}{between}{clock}");
                if let Ok(time) = NaiveDateTime::parse_from_str(original, &format) {
                    return Some(time.format("%Y-%m-%dT%H:%M:%SZ").to_string());
                }
            }
        }
    }
    None
}

/// Cedar takes an offset without the colon of RFC 3339.
fn with_offset(time: &DateTime<chrono::FixedOffset>) -> String {
    if time.offset().local_minus_utc() == 0 {
        return time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    }
    time.format("%Y-%m-%dT%H:%M:%S%z").to_string()
}

fn duration(text: &str) -> Option<String> {
    let millis = clock_millis(text).or_else(|| unit_millis(text))?;
    let mut rest = millis;
    let mut written = String::new();
    for (unit, length, _) in UNITS {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            written.extend([&count.to_string(), unit]);
        }
    }
    if written.is_empty() {
        written.push_str("0s");
    }
    Some(written)
}

/// `22:00`, `22:00:30`, `10 PM`: the time since midnight.
fn clock_millis(text: &str) -> Option<i64> {
    let upper = text.to_ascii_uppercase();
    let (upper, is_afternoon) = match upper.strip_suffix("PM") {
        Some(rest) => (rest.trim().to_owned(), Some(true)),
        None => match upper.strip_suffix("AM") {
            Some(rest) => (rest.trim().to_owned(), Some(false)),
            None => (upper, None),
        },
    };
    if is_afternoon.is_none() && !upper.contains(':') {
        return None;
    }
    let mut parts = Vec::new();
    for part in upper.split(':') {
        parts.push(part.parse::<u32>().ok()?);
    }
    let (hour, minute, second) = match parts.as_slice() {
        [hour] => (*hour, 0, 0),
        [hour, minute] => (*hour, *minute, 0),
        [hour, minute, second] => (*hour, *minute, *second),
        _ => return None,
    };
    let hour = match is_afternoon {
        Some(is_afternoon) if (1..=12).contains(&hour) => {
            hour % 12 + if is_afternoon { 12 } else { 0 }
        }
        Some(_) => return None,
        None => hour,
    };
    let is_valid = hour <= 24 && minute < 60 && second < 60;
    is_valid.then(|| {
        i64::from(hour) * 3_600_000 + i64::from(minute) * 60_000 + i64::from(second) * 1_000
    })
}

/// `30m22h`, `90 minutes`, `1.5h`, `PT22H`, `1w`: numbers with units in any order.
fn unit_millis(text: &str) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    let is_iso = text.starts_with('P');
    let lower = if is_iso {
        lower.replacen('p', "", 1).replace('t', "")
    } else {
        lower
    };
    let mut rest = lower.trim();
    let mut total: i64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at_checked(end)?;
        let after = after.trim_start();
        let end = after
            .find(|letter: char| !letter.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (word, after) = after.split_at_checked(end)?;
        total = total.checked_add(of_unit(number, word)?)?;
        rest = after
            .trim_start_matches([' ', ','])
            .trim_start_matches("and ");
    }
    Some(total)
}

/// A number, perhaps with decimals, of a unit.
fn of_unit(number: &str, word: &str) -> Option<i64> {
    let length = match word {
        "w" | "week" | "weeks" => WEEK,
        word => UNITS.iter().find(|(_, _, words)| words.contains(&word))?.1,
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.parse::<i64>().ok()?.checked_mul(length)?;
    if decimals.is_empty() {
        return Some(whole);
    }
    let scale = 10_i64.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    let part = decimals.parse::<i64>().ok()?.checked_mul(length)? / scale;
    whole.checked_add(part)
}

fn ip(text: &str) -> Option<String> {
    let text = text.trim_matches(['[', ']']);
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical().to_string());
    }
    if let Ok(network) = text.parse::<IpNet>() {
        return Some(network.trunc().to_string());
    }
    if text.eq_ignore_ascii_case("localhost") {
        return Some("127.0.0.1".to_owned());
    }
    let (host, suffix) = text.split_once('/').unwrap_or((text, ""));
    if let (Ok(address), Ok(mask)) = (host.parse::<Ipv4Addr>(), suffix.parse::<Ipv4Addr>()) {
        // `10.0.0.0/255.0.0.0`
        let network = Ipv4Net::with_netmask(address, mask).ok()?;
        return Some(network.trunc().to_string());
    }
    if let Ok(endpoint) = text.parse::<std::net::SocketAddr>() {
        return Some(endpoint.ip().to_canonical().to_string());
    }
    short_range(host, suffix)
}

/// `10.0.0/8`, `10.*`, `192.0.2.*`: a range of IPv4 addresses with less than four numbers.
fn short_range(host: &str, suffix: &str) -> Option<String> {
    let numbers: Vec<&str> = host.split('.').collect();
    let given = numbers.iter().take_while(|part| !is_wildcard(part)).count();
    let has_wildcard = given < numbers.len();
    let is_rest_open = numbers.iter().skip(given).all(|part| is_wildcard(part));
    if given == 0 || numbers.len() > 4 || !is_rest_open || (!has_wildcard && suffix.is_empty()) {
        return None;
    }
    let mut octets = [0_u8; 4];
    for (octet, number) in octets.iter_mut().zip(numbers.iter().take(given)) {
        *octet = number.parse().ok()?;
    }
    let prefix = match suffix {
        "" => u8::try_from(given * 8).ok()?,
        suffix => suffix.parse().ok()?,
    };
    let network = Ipv4Net::new(Ipv4Addr::from(octets), prefix).ok()?;
    Some(network.trunc().to_string())
}

fn is_wildcard(part: &str) -> bool {
    matches!(part, "*" | "x" | "X" | "%")
}

fn decimal(text: &str) -> Option<String> {
    let text = text.replace(',', ".");
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.trim_start_matches('+')),
    };
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_number = |part: &str| part.chars().all(|digit| digit.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) || whole.len() + decimals.len() == 0 {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    let kept = decimals.trim_end_matches('0');
    let kept = if kept.is_empty() { "0" } else { kept };
    // More than four digits would have to be rounded: which way, only the author knows.
    (kept.len() <= 4).then(|| format!("{sign}{whole}.{kept}"))
}

#[cfg(test)]
mod tests;
