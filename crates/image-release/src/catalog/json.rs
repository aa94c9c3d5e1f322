//! JSON text in the form that Python's `json.dumps` writes: some repositories of catalogs compare the
//! text of a file with what that makes of it.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, PrettyFormatter, Serializer};

/// The text of a value: indented, ASCII only (`ensure_ascii`), with a newline at its end.
pub(super) fn text(value: &impl Serialize, indent: &'static str) -> Vec<u8> {
    let mut out = Vec::new();
    let formatter = Ascii(PrettyFormatter::with_indent(indent.as_bytes()));
    value
        .serialize(&mut Serializer::with_formatter(&mut out, formatter))
        .expect("a value of ours has string keys, and memory takes it");
    out.push(b'\n');
    out
}

/// [`PrettyFormatter`], with all that is no printable ASCII as `\uXXXX`.
struct Ascii<'a>(PrettyFormatter<'a>);

/// Passes methods on to the formatter inside.
macro_rules! pass_on {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {
        $(
            fn $method<W: ?Sized + Write>(
                &mut self,
                writer: &mut W,
                $($argument: $type),*
            ) -> io::Result<()> {
                self.0.$method(writer $(, $argument)*)
            }
        )*
    };
}

impl Formatter for Ascii<'_> {
    pass_on! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        begin_object_value();
        end_object_value();
        write_char_escape(escape: CharEscape);
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for character in fragment.chars() {
            if matches!(character, ' '..='~') {
                write!(writer, "{character}")?;
                continue;
            }
            // Beyond the basic plane: a pair of surrogates.
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_python_writes() {
        let value = serde_json::json!({
            "a": [], "b": {}, "c": [1, {"d": null}], "é\u{7f}": "\"\\/\u{8}\u{c}\n\r\t\u{1f}\u{1f600}\u{2028}",
        });
        let expected = concat!(
            "{\n    \"a\": [],\n    \"b\": {},\n    \"c\": [\n        1,\n        {\n",
            "            \"d\": null\n        }\n    ],\n",
            "    \"\\u00e9\\u007f\": \"\\\"\\\\/\\b\\f\\n\\r\\t\\u001f\\ud83d\\ude00\\u2028\"\n}\n",
        );
        assert_eq!(String::from_utf8(text(&value, "    ")).unwrap(), expected);
    }
}
