//! JSON Schemas made from the contract's OpenAPI 3.0 schemas. What is not here: keywords that both have with the
//! same meaning, which pass through, and references that lead back to themselves, which the contract has none of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

/// Whose words a schema is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A client's: as the contract says.
    Request,
    /// The server's: an object that lists its members has no others, so that an undocumented one is found.
    Answer,
}

/// Deeper than any schema that does not contain itself.
const DEPTH_MAX: usize = 64;

/// The validator of `schema`, which stands in the document `root`.
pub fn compile(root: &Value, schema: &Value, whose: Whose) -> Validator {
    let schema = Translator { root, whose }.schema(schema, false, 0);
    let is_base64 = |text: &str| STANDARD.decode(text).is_ok();
    let options = jsonschema::options().with_draft(Draft::Draft202012);
    options.should_validate_formats(true).with_format("byte", is_base64).build(&schema).expect("a schema")
}

/// The first thing in `value` that `validator` refuses: a JSON pointer and a reason.
pub fn fault(validator: &Validator, value: &Value) -> Option<String> {
    let error = validator.iter_errors(value).next()?;
    Some(format!("at #{}: {error}", error.instance_path()))
}

/// `value`, or what it refers to in `root`.
pub fn resolve<'a>(root: &'a Value, value: &'a Value) -> &'a Value {
    let Some(reference) = value.get("$ref") else { return value };
    let pointer =
        reference.as_str().and_then(|text| text.strip_prefix('#')).expect("a reference in this file");
    resolve(root, root.pointer(pointer).unwrap_or_else(|| panic!("nothing at #{pointer}")))
}

struct Translator<'a> {
    root: &'a Value,
    whose: Whose,
}

impl Translator<'_> {
    /// `of_composition`: an `allOf`, `anyOf` or `oneOf` has it, and closes the object for all its parts.
    fn schema(&self, schema: &Value, of_composition: bool, depth: usize) -> Value {
        assert!(depth < DEPTH_MAX, "a schema that contains itself");
        let schema = resolve(self.root, schema);
        let Some(members) = schema.as_object() else { return schema.clone() };
        let mut out = Map::new();
        for (keyword, value) in members {
            let translated = match keyword.as_str() {
                "properties" => {
                    let each = value.as_object().into_iter().flatten();
                    each.map(|(name, value)| (name.clone(), self.schema(value, false, depth + 1))).collect()
                }
                "items" | "additionalProperties" | "not" => self.schema(value, false, depth + 1),
                "allOf" | "anyOf" | "oneOf" => {
                    let each = value.as_array().into_iter().flatten();
                    each.map(|value| self.schema(value, true, depth + 1)).collect()
                }
                _ => value.clone(),
            };
            out.insert(keyword.clone(), translated);
        }
        nullable(&mut out);
        exclusive(&mut out, "minimum", "exclusiveMinimum");
        exclusive(&mut out, "maximum", "exclusiveMaximum");
        let open = !out.contains_key("additionalProperties") && lists_members(&out);
        if self.whose == Whose::Answer && open && !of_composition {
            out.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
        }
        Value::Object(out)
    }
}

/// By OpenAPI 3.0.3 it adds null to the `type` beside it, and without one says nothing.
fn nullable(schema: &mut Map<String, Value>) {
    let nullable = schema.remove("nullable") == Some(Value::Bool(true));
    if nullable && let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind, "null"]);
    }
}

/// A boolean beside a bound there, a bound of its own here.
fn exclusive(schema: &mut Map<String, Value>, bound: &str, exclusive: &str) {
    let Some(Value::Bool(is_exclusive)) = schema.get(exclusive).cloned() else { return };
    schema.remove(exclusive);
    if is_exclusive && let Some(limit) = schema.remove(bound) {
        schema.insert(exclusive.to_owned(), limit);
    }
}

/// Whether the schema, translated, or a part of its composition names members of an object.
fn lists_members(schema: &Map<String, Value>) -> bool {
    let parts = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|name| schema.get(name)?.as_array());
    schema.contains_key("properties") || parts.flatten().filter_map(Value::as_object).any(lists_members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(schema: &Value, whose: Whose, value: &Value) -> bool {
        fault(&compile(&json!({"a": {"properties": {"x": {}}}}), schema, whose), value).is_some()
    }

    #[test]
    fn null_is_taken_where_a_nullable_type_says_so() {
        let text = json!({"type": "string", "nullable": true});
        assert!(!refuses(&text, Whose::Answer, &Value::Null));
        assert!(refuses(&json!({"type": "string"}), Whose::Answer, &Value::Null));
        assert!(refuses(&json!({"nullable": true, "enum": ["a"]}), Whose::Answer, &Value::Null));
    }

    #[test]
    fn an_exclusive_bound_is_refused_itself() {
        let schema = json!({"minimum": 1, "exclusiveMinimum": true, "maximum": 3, "exclusiveMaximum": false});
        let refused = [1, 2, 3, 4].map(|n| refuses(&schema, Whose::Answer, &json!(n)));
        assert_eq!(refused, [true, false, false, true]);
    }

    #[test]
    fn an_answer_has_no_members_that_are_not_listed_and_a_request_may() {
        let listed = json!({"type": "object", "properties": {"x": {"properties": {"y": {}}}}});
        for (value, refused) in
            [(json!({"x": {"y": 1}}), false), (json!({"z": 1}), true), (json!({"x": {"z": 1}}), true)]
        {
            assert_eq!(refuses(&listed, Whose::Answer, &value), refused, "{value}");
            assert!(!refuses(&listed, Whose::Request, &value), "{value}");
        }
        assert!(!refuses(&json!({"type": "object"}), Whose::Answer, &json!({"z": 1})));
    }

    #[test]
    fn a_composition_is_closed_as_a_whole() {
        let all = json!({"allOf": [{"$ref": "#/a"}, {"properties": {"y": {}}}]});
        assert!(!refuses(&all, Whose::Answer, &json!({"x": 1, "y": 2})));
        assert!(refuses(&all, Whose::Answer, &json!({"x": 1, "z": 2})));
    }

    #[test]
    fn bytes_are_base64_and_times_have_an_offset() {
        for (format, good, bad) in
            [("byte", "AP8=", "AP8"), ("date-time", "2026-12-01t08:00:00+02:30", "2026-12-01T08:00:00")]
        {
            let schema = json!({"type": "string", "format": format});
            assert!(!refuses(&schema, Whose::Request, &json!(good)), "{format}");
            assert!(refuses(&schema, Whose::Request, &json!(bad)), "{format}");
        }
    }
}
