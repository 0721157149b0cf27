//! The path that a service is asked for in place of the one that was matched.

use crate::edge::path::{ParamKind, PathPattern, Segment};
use crate::section::{Place, Reader};

/// Each parameter of `to` is one of the path that is matched, and stands for as much.
pub(super) fn check(to: &PathPattern, from: &PathPattern, place: &Place<'_>, reader: &mut Reader<'_>) {
    for segment in &to.segments {
        match segment {
            Segment::Literal(_) => {}
            Segment::Param { name, kind } => {
                if *kind != ParamKind::Any {
                    reader.problem(
                        place,
                        format!("what may stand for `{name}` is said in `match`: write `{{{name}}}` here"),
                    );
                }
                let is_it =
                    |other: &Segment| matches!(other, Segment::Param { name: known, .. } if known == name);
                check_known(from, is_it, &format!("{{{name}}}"), place, reader);
            }
            Segment::Tail(name) => {
                let is_it = |other: &Segment| matches!(other, Segment::Tail(known) if known == name);
                check_known(from, is_it, &format!("{{{name}*}}"), place, reader);
            }
        }
    }
}

fn check_known(
    from: &PathPattern,
    is_it: impl Fn(&Segment) -> bool,
    written: &str,
    place: &Place<'_>,
    reader: &mut Reader<'_>,
) {
    if !from.segments.iter().any(is_it) {
        reader.problem(
            place,
            format!("the path `{from}` has no parameter `{written}`: name one that it has"),
        );
    }
}
