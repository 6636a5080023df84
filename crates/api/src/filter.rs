//! Filter conditions, checked before they are sent.
//!
//! Source of the operators: the vendor's pages 1419289, 1791133 and 1960518.

use serde_json::{Map, Value};

const BOUNDS: [&str; 4] = ["gt", "gte", "lt", "lte"];

/// A filter: conditions that all have to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    conditions: Vec<Condition>,
}

/// One condition of a filter.
#[derive(Debug, Clone, PartialEq)]
enum Condition {
    /// `and`, `or`.
    Group { op: String, conditions: Vec<Condition> },
    /// `must`, `must_not`.
    Membership { op: String, field: String, values: Vec<Value> },
    /// `range`, `range_out`: one field and its bounds.
    Range { op: String, field: String, bounds: Map<String, Value> },
    /// `range` around a point.
    Around { fields: Vec<Value>, center: Vec<Value>, radius: Value },
    /// An operator that is not known here; the service decides.
    Other(Map<String, Value>),
}

/// What is wrong with a filter, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The text is not JSON.
    #[error("it is not JSON: {detail}")]
    Json {
        /// What the parser said, with line and column.
        detail: String,
    },
    /// A condition is malformed.
    #[error("{path}: {problem}")]
    Shape {
        /// The condition, for example `filter[1].conds`.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Filter {
    /// Reads a JSON array of conditions, or a single condition.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| FilterError::Json { detail: error.to_string() })?;
        let conditions = match value {
            Value::Array(conditions) => conditions,
            object @ Value::Object(_) => vec![object],
            _ => return Err(shape("filter", "it must be an array of conditions")),
        };
        if conditions.is_empty() {
            return Err(shape("filter", "it has no condition; use --all to export every row"));
        }
        Ok(Self { conditions: group(conditions, "filter")? })
    }

    /// The filter as the interface takes it.
    pub fn to_json(&self) -> Value {
        self.conditions.iter().map(Condition::to_json).collect()
    }

    /// Operators that are not known here and are passed on as they are.
    pub fn unknown_operators(&self) -> Vec<&str> {
        let mut unknown = Vec::new();
        for condition in &self.conditions {
            condition.collect_unknown(&mut unknown);
        }
        unknown
    }
}

impl Condition {
    fn parse(value: Value, path: &str) -> Result<Self, FilterError> {
        let Value::Object(mut object) = value else {
            return Err(shape(path, "a condition must be an object such as {\"op\":\"must\",…}"));
        };
        let op = match object.get("op") {
            Some(Value::String(op)) => op.clone(),
            Some(_) => return Err(shape(path, "\"op\" must be a string")),
            None => return Err(shape(path, "\"op\" is missing")),
        };
        match op.as_str() {
            "must" | "must_not" => {
                let field = take_field(&mut object, path)?;
                let values = take_array(&mut object, "conds", path)?;
                check_values(&values, &format!("{path}.conds"))?;
                nothing_else(&object, path)?;
                Ok(Self::Membership { op, field, values })
            }
            "range" if object.get("field").is_some_and(Value::is_array) => {
                Self::around(object, path)
            }
            "range" | "range_out" => {
                let field = take_field(&mut object, path)?;
                object.remove("op");
                check_bounds(&object, path)?;
                Ok(Self::Range { op, field, bounds: object })
            }
            "and" | "or" => {
                let conditions = take_array(&mut object, "conds", path)?;
                nothing_else(&object, path)?;
                let conditions = group(conditions, &format!("{path}.conds"))?;
                Ok(Self::Group { op, conditions })
            }
            "must_nor" => Err(shape(
                path,
                "there is no operator must_nor (some of the vendor's pages misspell it); it is must_not",
            )),
            _ => Ok(Self::Other(object)),
        }
    }

    fn around(mut object: Map<String, Value>, path: &str) -> Result<Self, FilterError> {
        let fields = take_array(&mut object, "field", path)?;
        let center = take_array(&mut object, "center", path)?;
        let radius = object.remove("radius").unwrap_or_default();
        nothing_else(&object, path)?;
        if fields.len() != 2 || !fields.iter().all(Value::is_string) {
            return Err(shape(path, "a range around a point needs two field names"));
        }
        if center.len() != 2 || !center.iter().all(Value::is_number) || !radius.is_number() {
            return Err(shape(
                path,
                "a range around a point needs a center of two numbers and a radius",
            ));
        }
        Ok(Self::Around { fields, center, radius })
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        match self {
            Self::Group { op, conditions } => {
                object.insert("op".to_owned(), op.as_str().into());
                object.insert("conds".to_owned(), conditions.iter().map(Self::to_json).collect());
            }
            Self::Membership { op, field, values } => {
                object.insert("op".to_owned(), op.as_str().into());
                object.insert("field".to_owned(), field.as_str().into());
                object.insert("conds".to_owned(), values.clone().into());
            }
            Self::Range { op, field, bounds } => {
                object.insert("op".to_owned(), op.as_str().into());
                object.insert("field".to_owned(), field.as_str().into());
                object.extend(bounds.clone());
            }
            Self::Around { fields, center, radius } => {
                object.insert("op".to_owned(), "range".into());
                object.insert("field".to_owned(), fields.clone().into());
                object.insert("center".to_owned(), center.clone().into());
                object.insert("radius".to_owned(), radius.clone());
            }
            Self::Other(raw) => object.clone_from(raw),
        }
        Value::Object(object)
    }

    fn collect_unknown<'a>(&'a self, unknown: &mut Vec<&'a str>) {
        match self {
            Self::Group { conditions, .. } => {
                for condition in conditions {
                    condition.collect_unknown(unknown);
                }
            }
            Self::Other(raw) => unknown.extend(raw.get("op").and_then(Value::as_str)),
            Self::Membership { .. } | Self::Range { .. } | Self::Around { .. } => {}
        }
    }
}

fn group(conditions: Vec<Value>, path: &str) -> Result<Vec<Condition>, FilterError> {
    if conditions.is_empty() {
        return Err(shape(path, "it has no condition"));
    }
    let conditions = conditions.into_iter().enumerate();
    conditions.map(|(index, value)| Condition::parse(value, &format!("{path}[{index}]"))).collect()
}

fn shape(path: &str, problem: &str) -> FilterError {
    FilterError::Shape { path: path.to_owned(), problem: problem.to_owned() }
}

fn take_field(object: &mut Map<String, Value>, path: &str) -> Result<String, FilterError> {
    match object.remove("field") {
        Some(Value::String(field)) if !field.is_empty() => Ok(field),
        Some(_) => Err(shape(path, "\"field\" must be the name of a field")),
        None => Err(shape(path, "\"field\" is missing")),
    }
}

fn take_array(
    object: &mut Map<String, Value>,
    key: &str,
    path: &str,
) -> Result<Vec<Value>, FilterError> {
    match object.remove(key) {
        Some(Value::Array(values)) => Ok(values),
        Some(_) => Err(shape(path, &format!("{key:?} must be an array"))),
        None => Err(shape(path, &format!("{key:?} is missing"))),
    }
}

fn check_values(values: &[Value], path: &str) -> Result<(), FilterError> {
    if values.is_empty() {
        return Err(shape(path, "it has no value, so it could match no row"));
    }
    let fits = |value: &Value| value.is_string() || value.is_i64() || value.is_boolean();
    match values.iter().position(|value| !fits(value)) {
        Some(index) => Err(shape(
            &format!("{path}[{index}]"),
            "a value must be a string, a 64-bit integer or a bool",
        )),
        None => Ok(()),
    }
}

fn check_bounds(bounds: &Map<String, Value>, path: &str) -> Result<(), FilterError> {
    if bounds.is_empty() {
        return Err(shape(path, "it needs at least one of gt, gte, lt and lte"));
    }
    for (key, value) in bounds {
        if !BOUNDS.contains(&key.as_str()) {
            return Err(shape(
                path,
                &format!("{key:?} is not a bound; bounds are gt, gte, lt and lte"),
            ));
        }
        // Text bounds are for dates.
        if !value.is_number() && !value.is_string() {
            return Err(shape(&format!("{path}.{key}"), "a bound must be a number"));
        }
    }
    Ok(())
}

fn nothing_else(object: &Map<String, Value>, path: &str) -> Result<(), FilterError> {
    match object.keys().find(|key| *key != "op") {
        Some(key) => Err(shape(path, &format!("{key:?} means nothing here"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_is_sent() {
        let text = r#"[{"op":"must","field":"city","conds":["beijing"]},
            {"op":"range","field":"user_id","gt":0,"lt":4},
            {"op":"or","conds":[{"op":"must_not","field":"id","conds":[9007199254740993]},
                {"op":"range","field":["x","y"],"center":[1,2.5],"radius":3}]},
            {"op":"someday","field":"x"}]"#;
        let filter = Filter::parse(text).unwrap();
        assert_eq!(filter.to_json(), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(filter.unknown_operators(), ["someday"]);
    }

    #[test]
    fn a_number_is_sent_as_what_was_typed() {
        for typed in ["3.33333e44", "116.40740000000001", "1e-7", "1.7976931348623157e308", "-0.1"]
        {
            let text = format!(r#"[{{"op":"range","field":"x","gt":{typed}}}]"#);
            let sent = Filter::parse(&text).unwrap().to_json()[0]["gt"].to_string();
            assert_eq!(sent.parse::<f64>(), typed.parse::<f64>(), "{typed} became {sent}");
        }
    }

    #[test]
    fn each_mistake_is_named_with_its_place() {
        let cases = [
            ("[", "not JSON"),
            ("[]", "--all"),
            ("7", "array of conditions"),
            (r#"[{"field":"x"}]"#, "filter[0]: \"op\" is missing"),
            (r#"[{"op":"must_nor","field":"x","conds":[1]}]"#, "must_not"),
            (r#"[{"op":"must","conds":[1]}]"#, "\"field\" is missing"),
            (r#"[{"op":"must","field":"x","conds":[]}]"#, "filter[0].conds"),
            (r#"[{"op":"must","field":"x","conds":[1.5]}]"#, "filter[0].conds[0]"),
            (r#"[{"op":"must","field":"x","cond":[1]}]"#, "\"conds\" is missing"),
            (r#"[{"op":"must","field":"x","conds":[1],"gt":2}]"#, "\"gt\" means nothing"),
            (r#"[{"op":"range","field":"x"}]"#, "at least one of"),
            (r#"[{"op":"range","field":"x","ge":1}]"#, "\"ge\" is not a bound"),
            (
                r#"[{"op":"and","conds":[{"op":"range","field":"x","gt":true}]}]"#,
                "filter[0].conds[0].gt",
            ),
        ];
        for (text, expected) in cases {
            let message = Filter::parse(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
