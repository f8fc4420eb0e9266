//! The rules against small made-up trees: each one finds what it is for, and nothing else.

use super::module_graph::ModuleGraph;
use super::rules::{self, Offender, check};
use super::source_tree::SourceTree;

const FLOORS: [(&str, u8); 4] = [("domain", 0), ("files", 1), ("token", 1), ("http", 3)];

fn names(found: &[Offender]) -> Vec<&str> {
    found.iter().map(|offender| &*offender.name).collect()
}

fn circles(files: &[(&str, &str)]) -> Vec<Offender> {
    let tree = SourceTree::from_files(files);
    rules::circles(&ModuleGraph::from_crate_root(&tree).references())
}

/// Two files of a crate: what `a.rs` and `b.rs` contain.
fn circles_of_two(a: &str, b: &str) -> Vec<Offender> {
    circles(&[
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", a),
        ("src/b.rs", b),
    ])
}

fn upward(files: &[(&str, &str)]) -> Vec<Offender> {
    let tree = SourceTree::from_files(files);
    rules::upward_imports(&ModuleGraph::from_crate_root(&tree).references(), &FLOORS)
}

/// The floors with one file each; `token` contains this.
fn upward_from_token(token: &str) -> Vec<Offender> {
    upward(&[
        (
            "src/lib.rs",
            "pub mod domain; pub mod files; pub mod http; pub mod token;",
        ),
        ("src/domain/mod.rs", "pub mod id; pub struct Id;"),
        ("src/domain/id.rs", "pub fn parse() {}"),
        ("src/files/mod.rs", "pub struct File;"),
        (
            "src/http/mod.rs",
            "pub use crate::domain::Id; pub struct Reply;",
        ),
        ("src/token/mod.rs", token),
    ])
}

#[test]
fn an_import_of_a_lower_floor_is_allowed() {
    assert_eq!(
        upward_from_token("use crate::domain::Id; use super::domain::id::parse;"),
        []
    );
}

#[test]
fn an_import_of_a_higher_floor_or_of_a_sibling_is_found() {
    for text in [
        "use crate::http::Reply;",
        "use crate::{domain::Id, http::Reply};",
        "fn f() { crate::http::Reply; }",
        "fn f() { use super::http as h; h::Reply; }",
        "fn f() { print!(\"{}\", crate::http::Reply) }",
        "fn f() -> Option<crate::http::Reply> { None }",
        "use crate::files::File;",
        "use crate::files::*; fn f(file: File) {}",
        // What a lower floor defines does not excuse the way through a higher one.
        "use crate::http::Id;",
    ] {
        assert_eq!(
            names(&upward_from_token(text)),
            ["src/token/mod.rs"],
            "{text}"
        );
    }
}

#[test]
fn comments_strings_and_unit_tests_import_nothing() {
    for text in [
        "// use crate::http::Reply;",
        "/// See [`crate::http::Reply`].\npub struct Token;",
        "const TEXT: &str = \"crate::http::Reply\";",
        "#[cfg(test)] mod tests { use crate::http::Reply; }",
        "#[cfg(test)] use crate::http::Reply; pub struct Token;",
    ] {
        assert_eq!(upward_from_token(text), [], "{text}");
    }
}

#[test]
fn a_module_without_a_floor_is_found() {
    let found = upward(&[
        ("src/lib.rs", "mod domain; mod utils;"),
        ("src/domain/mod.rs", "pub struct Id;"),
        ("src/utils.rs", "use crate::domain::Id;"),
    ]);
    assert_eq!(names(&found), ["utils"]);
}

#[test]
fn two_files_that_name_each_others_items_are_a_circle() {
    for (a, b) in [
        (
            "use crate::b::B; pub struct A;",
            "use super::a::A; pub struct B;",
        ),
        (
            "pub fn f() { crate::b::g() }",
            "pub fn g() { use crate::a as other; other::f() }",
        ),
        (
            "use super::b; pub fn f() { b::g() }",
            "pub fn g() { drop([crate::a::f]) }",
        ),
        (
            "use crate::b::*; pub struct A(B);",
            "use crate::a::A; pub struct B;",
        ),
        // An enum's variant is the enum's file, a function of a type the type's.
        (
            "pub enum A { One }",
            "use crate::a::A; pub struct B; fn f() { A::One }",
        ),
    ] {
        let is_circle = a != "pub enum A { One }";
        assert_eq!(circles_of_two(a, b).len(), usize::from(is_circle), "{a}");
    }
}

#[test]
fn a_circle_lists_all_its_files_and_the_paths_that_close_it() {
    let found = circles(&[
        ("src/lib.rs", "mod a; mod b; mod c; mod d;"),
        (
            "src/a.rs",
            "use crate::b::B; use crate::d::D; pub struct A;",
        ),
        ("src/b.rs", "use crate::c::C; pub struct B;"),
        ("src/c.rs", "use crate::a::A; pub struct C;"),
        ("src/d.rs", "pub struct D;"),
    ]);
    assert_eq!(names(&found), ["src/a.rs src/b.rs src/c.rs"]);
    assert!(
        found[0]
            .detail
            .contains("src/c.rs -> src/a.rs: crate::a::A")
    );
    assert!(!found[0].detail.contains("src/d.rs"));
}

#[test]
fn two_circles_are_two_offenders() {
    let found = circles(&[
        ("src/lib.rs", "mod a; mod b; mod c; mod d;"),
        (
            "src/a.rs",
            "use crate::b::B; use crate::c::C; pub struct A;",
        ),
        ("src/b.rs", "use crate::a::A; pub struct B;"),
        ("src/c.rs", "use crate::d::D; pub struct C;"),
        ("src/d.rs", "use crate::c::C; pub struct D;"),
    ]);
    assert_eq!(names(&found), ["src/a.rs src/b.rs", "src/c.rs src/d.rs"]);
}

#[test]
fn a_child_that_uses_its_parents_items_while_the_parent_uses_the_child_is_a_circle() {
    let parent_uses_child = "mod child; pub struct Parent; fn f() { child::run() }";
    let child_uses_parent = "use super::Parent; pub fn run() {}";
    let crate_of = |parent, child| {
        circles(&[
            ("src/lib.rs", "mod parent;"),
            ("src/parent/mod.rs", parent),
            ("src/parent/child.rs", child),
        ])
    };
    let found = crate_of(parent_uses_child, child_uses_parent);
    assert_eq!(names(&found), ["src/parent/child.rs src/parent/mod.rs"]);
    assert_eq!(crate_of(parent_uses_child, "pub fn run() {}"), []);
    assert_eq!(
        crate_of("mod child; pub struct Parent;", child_uses_parent),
        []
    );
    // A re-export hands the child's items on, but does not use them.
    let re_export = "mod child; pub use child::run; pub struct Parent;";
    assert_eq!(crate_of(re_export, child_uses_parent), []);
    let used_too = "mod child; pub use child::run; pub struct Parent; fn f() { run() }";
    assert_eq!(crate_of(used_too, child_uses_parent).len(), 1);
}

#[test]
fn a_re_export_counts_for_the_file_that_defines_the_item() {
    let found = circles(&[
        ("src/lib.rs", "mod room; mod other;"),
        (
            "src/room/mod.rs",
            "mod first; mod second; pub use first::First; pub use second::*;",
        ),
        ("src/room/first.rs", "use super::Second; pub struct First;"),
        ("src/room/second.rs", "pub struct Second;"),
        (
            "src/other.rs",
            "use crate::room::First; use crate::room::Second;",
        ),
    ]);
    assert_eq!(found, []);
    let found = circles(&[
        ("src/lib.rs", "mod room;"),
        (
            "src/room/mod.rs",
            "mod first; mod second; pub use first::First; pub use second::*;",
        ),
        ("src/room/first.rs", "use super::Second; pub struct First;"),
        (
            "src/room/second.rs",
            "use crate::room::First; pub struct Second;",
        ),
    ]);
    assert_eq!(names(&found), ["src/room/first.rs src/room/second.rs"]);
}

#[test]
fn a_function_and_a_module_of_one_name_are_told_apart() {
    let found = circles(&[
        ("src/lib.rs", "mod room;"),
        (
            "src/room/mod.rs",
            "mod apply; mod plan; pub use apply::apply;",
        ),
        (
            "src/room/apply.rs",
            "pub fn apply() { super::plan::plan() } pub struct Applied;",
        ),
        (
            "src/room/plan.rs",
            "use super::apply::Applied; pub fn plan() {}",
        ),
    ]);
    assert_eq!(names(&found), ["src/room/apply.rs src/room/plan.rs"]);
}

#[test]
fn what_a_macro_defines_counts_for_the_module_that_is_named() {
    let b = "use crate::a::Word; pub struct B;";
    assert_eq!(
        circles_of_two("words! { Word } use crate::b::B;", b).len(),
        1
    );
}

#[test]
fn unit_tests_comments_strings_and_members_close_no_circle() {
    let b = "use crate::a::A; pub struct B;";
    for a in [
        "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
        "pub struct A; #[cfg(test)] fn f() -> crate::b::B { crate::b::B }",
        "#[cfg(test)] use crate::b::B; pub struct A;",
        "/// [`crate::b::B`]\npub struct A; // crate::b::B",
        "pub struct A; const TEXT: &str = \"crate::b::B\";",
        "pub struct A; fn f(b: A) { b.b; b.c() }",
    ] {
        assert_eq!(circles_of_two(a, b), [], "{a}");
    }
}

#[test]
fn a_library_outside_its_home_is_found() {
    let tree = SourceTree::from_files(&[
        (
            "src/token/mod.rs",
            "use josekit::jws; // cedar_policy::Entity",
        ),
        (
            "src/http/mod.rs",
            "fn f() { format!(\"{}\", cedar_policy_core::ast()) }",
        ),
        ("src/http/mint.rs", "use crate::token::josekit;"),
    ]);
    let homes = [("cedar_policy", "policy"), ("josekit", "token")];
    assert_eq!(
        names(&rules::misplaced_libraries(&tree, &homes)),
        ["src/http/mod.rs"]
    );
}

#[test]
fn a_public_type_name_that_two_modules_define_is_found() {
    let tree = SourceTree::from_files(&[
        (
            "src/a.rs",
            "pub struct Page; struct Own; words! { pub enum Word { A } }",
        ),
        (
            "src/b.rs",
            "pub(crate) type Page = u8; pub enum Own {} pub trait Word {}",
        ),
        (
            "src/c.rs",
            "#[cfg(test)] mod tests { pub struct Own; } pub fn Own() {} pub struct Page;",
        ),
    ]);
    let found = rules::duplicate_types(&tree);
    assert_eq!(names(&found), ["Page", "Word"]);
    assert_eq!(found[0].detail, "defined in src/a.rs, src/b.rs, src/c.rs");
}

#[test]
fn a_superlative_constant_is_found_wherever_it_is() {
    let tree = SourceTree::from_files(&[
        (
            "src/a.rs",
            "const MOST_KEYS: u8 = 1; pub static THE_LONGEST: u8 = 1; const UTMOST: u8 = 1;",
        ),
        (
            "src/b.rs",
            "impl B { pub const USUAL_SIZE: u8 = 1; } const MAX_KEYS: u8 = 1; // MOST_X",
        ),
        (
            "tests/c.rs",
            "#[cfg(test)] mod tests { const LARGEST: u8 = 1; } fn f() { MOST_KEYS }",
        ),
    ]);
    let found = rules::superlative_constants(&tree);
    let expected = [
        "src/a.rs MOST_KEYS",
        "src/a.rs THE_LONGEST",
        "src/b.rs USUAL_SIZE",
        "tests/c.rs LARGEST",
    ];
    assert_eq!(names(&found), expected);
}

#[test]
fn a_file_of_too_many_lines_is_found() {
    let tree = SourceTree::from_files(&[("src/a.rs", "1\n2\n3\n"), ("src/b.rs", "1\n2\n3\n4\n")]);
    assert_eq!(names(&rules::long_files(&tree, 3)), ["src/b.rs"]);
}

#[test]
fn module_docs_that_say_refuses_to_are_found_across_lines() {
    let tree = SourceTree::from_files(&[
        ("src/a.rs", "//! Sessions. It refuses\n//! to know HTTP.\n"),
        (
            "src/b.rs",
            "//! Sessions.\n/// The server refuses to start.\nfn f() {}",
        ),
        (
            "src/c.rs",
            "fn f() {}\nmod inner {\n    //! It refuses to know.\n}\n",
        ),
    ]);
    assert_eq!(
        names(&rules::refusing_module_docs(&tree)),
        ["src/a.rs", "src/c.rs"]
    );
}

#[test]
fn a_new_offender_fails_and_so_does_a_stale_exception() {
    let found = |name: &str| Offender {
        name: name.to_owned(),
        detail: "why".to_owned(),
    };
    assert_eq!(check("rule", &[], &[]), Ok(()));
    assert_eq!(check("rule", &[found("a"), found("a")], &["a"]), Ok(()));
    let expected = Err("rule:\na: why\nb: why".to_owned());
    assert_eq!(check("rule", &[found("a"), found("b")], &[]), expected);
    let expected =
        Err("rule:\nb: why\nc: no longer an offender, remove it from the list".to_owned());
    assert_eq!(
        check("rule", &[found("a"), found("b")], &["a", "c"]),
        expected
    );
}
