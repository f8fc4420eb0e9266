use proptest::prelude::*;

use super::*;

fn hops(header: ForwardedHeader, lines: &[&[u8]]) -> Vec<Option<String>> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(header_name(header), HeaderValue::from_bytes(line).unwrap());
    }
    let hops = hops_from_nearest(&headers, header);
    hops.map(|hop| hop.ok().map(|address| address.to_string()))
        .collect()
}

fn x_forwarded_for(hop: &str) -> Option<String> {
    hops(ForwardedHeader::XForwardedFor, &[hop.as_bytes()]).remove(0)
}

fn forwarded(element: &str) -> Option<String> {
    hops(ForwardedHeader::Forwarded, &[element.as_bytes()]).remove(0)
}

#[test]
fn an_address_is_read_with_whatever_a_gateway_adds_to_it() {
    for (hop, address) in [
        ("203.0.113.8", "203.0.113.8"),
        ("203.0.113.8:4711", "203.0.113.8"),
        ("203.0.113.8:0", "203.0.113.8"),
        ("203.0.113.8:65535", "203.0.113.8"),
        ("203.0.113.8:_hidden", "203.0.113.8"),
        ("\t 203.0.113.8 \t", "203.0.113.8"),
        ("\"203.0.113.8:4711\"", "203.0.113.8"),
        ("2001:DB8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("\"[2001:db8::7]:4711\"", "2001:db8::7"),
        ("2001:db8::7:4711", "2001:db8::7:4711"),
        ("::ffff:203.0.113.8", "203.0.113.8"),
        ("[::ffff:cb00:7108]:80", "203.0.113.8"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
        ("127.0.0.1", "127.0.0.1"),
    ] {
        assert_eq!(x_forwarded_for(hop).as_deref(), Some(address), "{hop}");
    }
}

#[test]
fn what_is_no_address_of_a_client_is_not_read() {
    for hop in [
        "",
        " ",
        "unknown",
        "UNKNOWN",
        "_hidden",
        "-",
        "null",
        "localhost",
        "gate.example.org",
        "203.0.113.8:",
        "203.0.113.8:65536",
        "203.0.113.8:-1",
        "203.0.113.8:+80",
        "203.0.113.8 :80",
        "203.0.113.8:80:80",
        "203.0.113.8/32",
        "203.0.113",
        "203.0.113.08",
        "0x7f.0.0.1",
        "2130706433",
        "203.0.113.8;",
        "[203.0.113.8]",
        "[203.0.113.8]:80",
        "[2001:db8::7",
        "2001:db8::7]",
        "[2001:db8::7]4711",
        "[2001:db8::7]:65536",
        "2001:db8:0:0:0:0:0:7:4711",
        "2001:db8::7%eth0",
        "fe80::1%",
        "fe80::1%a b",
        "203.0.113.8%eth0",
        "0.0.0.0",
        "0.1.2.3:80",
        "::ffff:0.0.0.1",
        "::",
        "[::]:80",
        "::ffff:0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "ff02::1",
        "\"203.0.113.8",
        "203.0.113.8\"",
        "\"\"",
        "\"",
        "for=203.0.113.8",
        "203.0.113.8\u{a0}",
        "２０３.0.113.8",
        "203.0.113.8 198.51.100.7",
    ] {
        assert_eq!(x_forwarded_for(hop), None, "{hop:?}");
    }
}

#[test]
fn lines_are_one_list_that_is_read_from_its_end() {
    let lines: [&[u8]; 3] = [
        b"192.0.2.1, unknown",
        b"\xff\xfe, 192.0.2.2",
        b"192.0.2.3 ,",
    ];
    let read = hops(ForwardedHeader::XForwardedFor, &lines);
    let known = |text: &str| Some(text.to_owned());
    let expected = [
        None,
        known("192.0.2.3"),
        known("192.0.2.2"),
        None,
        None,
        known("192.0.2.1"),
    ];
    assert_eq!(read, expected);
    assert!(hops(ForwardedHeader::XForwardedFor, &[]).is_empty());
}

#[test]
fn forwarded_is_read_as_rfc_7239_writes_it() {
    for (element, address) in [
        ("for=192.0.2.43", "192.0.2.43"),
        ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        (
            "proto=https; host=\"a,b;for=x\" ;FOR=\"192.0.2.60\"",
            "192.0.2.60",
        ),
        ("for=\"192.0.2.43:_gazonk\"", "192.0.2.43"),
        ("for=\"\\192.0.2.43\"", "192.0.2.43"),
        ("for=192.0.2.43:4711", "192.0.2.43"),
        ("for=[2001:db8::1]:80", "2001:db8::1"),
    ] {
        assert_eq!(forwarded(element).as_deref(), Some(address), "{element}");
    }
    for element in [
        "",
        "for",
        "for=",
        "for=\"\"",
        "for=unknown",
        "for=_hidden",
        "for=_SEVKISEK",
        "192.0.2.43",
        "by=192.0.2.43",
        "proto=https",
        "for=192.0.2.43;for=192.0.2.43",
        "for=192.0.2.43;For=x",
        "for=192.0.2.43;",
        ";for=192.0.2.43",
        "for=192.0.2.43;;proto=http",
        "for = 192.0.2.43",
        "for= 192.0.2.43",
        "for=\"192.0.2.43",
        "for=192.0.2.43\"",
        "for=192.0.2.43 by=x",
        "for==192.0.2.43",
        "for=\"192.0.2.43\"x",
        "for=\"192.0.2.43:65536\"",
        "f\u{f6}r=192.0.2.43",
        "for=192.0.2.43;proto",
    ] {
        assert_eq!(forwarded(element), None, "{element:?}");
    }
}

#[test]
fn a_client_cannot_hide_what_a_proxy_appended_to_its_forwarded_header() {
    for sent in [
        "for=\"",
        "for=\"x",
        "\"",
        "for=\\\"",
        "for=\"a\\",
        "for=\"192.0.2.9, for=192.0.2.8",
        "x",
    ] {
        for appended in ["for=192.0.2.43", "proto=https;for=\"[2001:db8::1]:4711\""] {
            let line = format!("{sent}, {appended}");
            let read = hops(ForwardedHeader::Forwarded, &[line.as_bytes()]);
            assert_eq!(read.first(), Some(&forwarded(appended)), "{line}");
        }
    }
    let quoted = "for=192.0.2.1;host=\"a\\\", for=192.0.2.2\", for=192.0.2.3";
    let read = hops(ForwardedHeader::Forwarded, &[quoted.as_bytes()]);
    assert_eq!(
        read,
        [Some("192.0.2.3".to_owned()), Some("192.0.2.1".to_owned())]
    );
}

proptest! {
    #[test]
    fn no_bytes_are_read_as_anything_but_an_address_within_them(line in "[ -~\\t]{0,60}") {
        for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
            for hop in hops(header, &[line.as_bytes()]).into_iter().flatten() {
                let address: IpAddr = hop.parse().unwrap();
                prop_assert!(is_of_a_client(address));
            }
        }
    }

    #[test]
    fn every_address_is_read_in_every_spelling(bits: u128, v4: u32, port: u16, sent in "[ -~]{0,30}") {
        let v6 = Ipv6Addr::from_bits(bits);
        let v4 = Ipv4Addr::from_bits(v4);
        for (address, text, with_port) in [
            (IpAddr::V4(v4), v4.to_string(), format!("{v4}:{port}")),
            (IpAddr::V6(v6), v6.to_string(), format!("[{v6}]:{port}")),
        ] {
            let expected = Some(address.to_canonical())
                .filter(|address| is_of_a_client(*address))
                .map(|address| address.to_string());
            for text in [text, with_port] {
                let read = hops(ForwardedHeader::XForwardedFor, &[format!("{sent}, {text}").as_bytes()]);
                prop_assert_eq!(read.first(), Some(&expected));
                let line = format!("{sent}, for=\"{text}\"");
                let read = hops(ForwardedHeader::Forwarded, &[line.as_bytes()]);
                prop_assert_eq!(read.first(), Some(&expected));
            }
        }
    }
}
