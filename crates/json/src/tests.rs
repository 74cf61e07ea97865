use std::{collections::BTreeMap, fmt};

use proptest::prelude::*;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Unexpected, Visitor},
};
use serde_json::{Value, json};

use crate::{Error, from_slice, from_str, from_value};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shop {
    name: String,
    #[serde(default)]
    shelves: Vec<Shelf>,
    #[serde(default)]
    prices: BTreeMap<String, u8>,
    #[serde(default)]
    door: Option<Door>,
    #[serde(default)]
    place: Option<(i8, i8)>,
    #[serde(default)]
    keys: Vec<Key>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Shelf {
    size: u8,
    #[serde(default, deserialize_with = "even")]
    books: u8,
}

#[derive(Debug, PartialEq, Deserialize)]
enum Door {
    Shut,
    Open { width: u8 },
    Locked(Key),
}

/// Checked only when it has been read.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(try_from = "Teeth")]
struct Key(u8);

#[derive(Deserialize)]
struct Teeth {
    teeth: u8,
}

impl TryFrom<Teeth> for Key {
    type Error = &'static str;

    fn try_from(Teeth { teeth }: Teeth) -> Result<Self, &'static str> {
        if teeth == 0 { Err("a key has teeth") } else { Ok(Self(teeth)) }
    }
}

fn even<'de, D: Deserializer<'de>>(number: D) -> Result<u8, D::Error> {
    let number = u8::deserialize(number)?;
    if number % 2 == 0 { Ok(number) } else { Err(D::Error::custom("is odd")) }
}

/// The pointer to the value at fault, and the fault without its place.
fn fault(text: &str) -> (String, String) {
    describe(&from_str::<Shop>(text).unwrap_err())
}

fn describe(error: &Error) -> (String, String) {
    (error.pointer(), error.message())
}

#[test]
fn a_struct_is_read_from_an_object_and_from_nothing_else() {
    let shop = from_str::<Shop>(r#"{"name":"A","shelves":[{"size":1}],"place":[1,2]}"#).unwrap();
    assert_eq!(shop.shelves, [Shelf { size: 1, books: 0 }]);
    assert_eq!(shop.place, Some((1, 2)));
    assert!(serde_json::from_str::<Shelf>("[1, 2]").is_ok(), "serde_json reads it");
    assert!(from_str::<Shelf>("[1, 2]").is_err() && from_value::<Shelf>(&json!([1, 2])).is_err());
    assert_eq!(fault(r#"{"name":"A","shelves":[[1,2]]}"#).0, "/shelves/0");
    assert!(
        from_str::<Door>(r#"{"Open":[1]}"#).is_ok(),
        "a variant's fields may be in a list, as in serde_json"
    );
}

#[test]
fn the_value_at_fault_is_found() {
    for (text, pointer, message) in [
        (r#"{"name":1}"#, "/name", "invalid type: integer `1`, expected a string"),
        (r#"{"name":[]}"#, "/name", "invalid type: sequence, expected a string"),
        (r#"{"name":{"a":[1]}}"#, "/name", "invalid type: map, expected a string"),
        ("{\n\"name\" : \n\n true\n}", "/name", "invalid type: boolean `true`, expected a string"),
        ("{}", "", "missing field `name`"),
        (r#"{"shelves":[{"size":1}]}"#, "", "missing field `name`"),
        (r#"{"name":"A","shelves":[{"size":1},{"books":2}]}"#, "/shelves/1", "missing field `size`"),
        (r#"{"name":"A","shelves":[{"size":1},{}],"prices":{}}"#, "/shelves/1", "missing field `size`"),
        (r#"{"name":"A","name":"B"}"#, "", "duplicate field `name`"),
        (
            r#"{"name":"A","nam":"B"}"#,
            "",
            "unknown field `nam`, expected one of `name`, `shelves`, `prices`, `door`, `place`, `keys`",
        ),
        // Found behind the value, by which time its object may have ended.
        (r#"{"name":"A","shelves":[{"size":1,"books":3}]}"#, "/shelves/0/books", "is odd"),
        (r#"{"name":"A","shelves":[{"books":3,"size":1}]}"#, "/shelves/0/books", "is odd"),
        (r#"{"name":"A","door":{"Locked":{"teeth":0}}}"#, "/door/Locked", "a key has teeth"),
        (r#"{"name":"A","door":{"Locked":{"teeth":0}},"place":[1,2]}"#, "/door/Locked", "a key has teeth"),
        (
            r#"{"name":"A","door":{"Locked":{"teeth":-1}}}"#,
            "/door/Locked/teeth",
            "invalid value: integer `-1`, expected u8",
        ),
        (
            r#"{"name":"A","door":{"Open":{"width":[]}}}"#,
            "/door/Open/width",
            "invalid type: sequence, expected u8",
        ),
        (r#"{"name":"A","keys":[{"teeth":1},{"teeth":0},{"teeth":2}]}"#, "/keys/1", "a key has teeth"),
        ("{\"name\":\"A\",\"keys\":[\n {\"teeth\":0} ,\n {\"teeth\":2}]}", "/keys/0", "a key has teeth"),
        (r#"{"name":"A","keys":[{"teeth":1},{"teeth":0}],"place":[1,2]}"#, "/keys/1", "a key has teeth"),
        (
            r#"{"name":"A","keys":[{"teeth":1},[0]]}"#,
            "/keys/1",
            "invalid type: sequence, expected struct Teeth",
        ),
        (
            r#"{"name":"A","door":"Ajar"}"#,
            "/door",
            "unknown variant `Ajar`, expected one of `Shut`, `Open`, `Locked`",
        ),
        (
            r#"{"prices":{"a/b":1,"\u00e9\"{[":256}}"#,
            "/prices/é\"{[",
            "invalid value: integer `256`, expected u8",
        ),
        (r#"{"name":"]}\\\"","place":[1,"2"]}"#, "/place/1", "invalid type: string \"2\", expected i8"),
        (r#"{"name":"A","place":[1]}"#, "/place", "invalid length 1, expected a tuple of size 2"),
        (r#"{"name":"A\ud800"}"#, "/name", "unexpected end of hex escape"),
        ("[]", "", "invalid type: sequence, expected struct Shop"),
        ("null", "", "invalid type: null, expected struct Shop"),
    ] {
        assert_eq!(fault(text), (pointer.to_owned(), message.to_owned()), "{text}");
    }
}

#[test]
fn a_text_within_a_text_has_its_own_depth() {
    fn inner<'de, D: Deserializer<'de>>(text: D) -> Result<Shelf, D::Error> {
        let value: Value = from_str(&String::deserialize(text)?).map_err(D::Error::custom)?;
        from_value(&value).map_err(D::Error::custom)
    }
    #[derive(Debug, Deserialize)]
    struct Outer {
        #[serde(deserialize_with = "inner")]
        #[expect(dead_code, reason = "only its fault matters")]
        shelf: Shelf,
    }
    for inner in [r#"{\"size\":[1]}"#, r#"{\"size\":1"#] {
        let error = from_str::<Vec<Outer>>(&format!(r#"[{{"shelf":"{inner}"}}]"#)).unwrap_err();
        assert_eq!(error.pointer(), "/0/shelf", "{error}");
    }
}

#[test]
fn faults_are_told_apart() {
    let data = from_str::<Shop>(r#"{"name":1}"#).unwrap_err();
    assert!(data.is_data() && !data.is_eof());
    assert_eq!((data.line(), data.column()), (1, 9));
    let eof = from_str::<Shop>("{\"name\":\n").unwrap_err();
    assert!(!eof.is_data() && eof.is_eof());
    assert_eq!(eof.to_string(), "EOF while parsing a value at line 2 column 0");
    assert_eq!(eof.message(), "EOF while parsing a value");
    let nested = from_str::<Shop>(r#"{"name":"A","shelves":[{}]}"#).unwrap_err();
    assert_eq!(nested.to_string(), "missing field `size` at /shelves/0");
    let trailing = from_str::<u8>("1 x").unwrap_err();
    assert!(!trailing.is_data() && trailing.to_string().contains("trailing characters"));
    let bytes = from_slice::<Shop>(b"{\n\"name\":\"\xff\"}").unwrap_err();
    assert_eq!(bytes.to_string(), "invalid unicode code point at line 2 column 9");
    assert!(!bytes.is_data());
}

/// JSON values with what is hard to scan: quotes, brackets and backslashes in names and strings.
fn values() -> impl Strategy<Value = Value> {
    let text = r#"[a"\\\[\]{},:é]{0,4}"#;
    let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), text.prop_map(Value::from)];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text, inner, 0..4).prop_map(|fields| json!(fields)),
        ]
    })
}

/// A value without booleans. One is refused when it is met, or only once it has been read.
#[derive(Debug)]
struct Tree<const IS_LATE: bool> {
    is_boolean: bool,
}

impl<'de, const IS_LATE: bool> Deserialize<'de> for Tree<IS_LATE> {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        match value.deserialize_any(Read::<IS_LATE>)? {
            Self { is_boolean: true } => Err(D::Error::custom("is a boolean")),
            tree => Ok(tree),
        }
    }
}

struct Read<const IS_LATE: bool>;

impl<'de, const IS_LATE: bool> Visitor<'de> for Read<IS_LATE> {
    type Value = Tree<IS_LATE>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything but a boolean")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        if IS_LATE {
            Ok(Tree { is_boolean: true })
        } else {
            Err(E::invalid_type(Unexpected::Bool(value), &self))
        }
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Tree { is_boolean: false })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Tree { is_boolean: false })
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Tree { is_boolean: false })
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Tree { is_boolean: false })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<Self::Value>()?.is_some() {}
        Ok(Tree { is_boolean: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<String, Self::Value>()?.is_some() {}
        Ok(Tree { is_boolean: false })
    }
}

/// The pointers to all values, in the order in which they begin in the text.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                pointers(value, &format!("{at}/{index}"), all);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(value, &format!("{at}/{name}"), all);
            }
        }
        _ => {}
    }
}

proptest! {
    /// One value anywhere is made a boolean: that is the one which is found.
    #[test]
    fn a_fault_is_found_wherever_it_is(mut value in values(), nth in any::<prop::sample::Index>(), is_pretty: bool) {
        let mut all = Vec::new();
        pointers(&value, "", &mut all);
        let pointer = nth.get(&all).clone();
        *value.pointer_mut(&pointer).unwrap() = true.into();
        let text = if is_pretty { format!("{value:#}") } else { value.to_string() };
        for error in [from_str::<Tree<false>>(&text).unwrap_err(), from_str::<Tree<true>>(&text).unwrap_err()] {
            prop_assert_eq!(error.pointer(), pointer.as_str());
            prop_assert!(error.is_data());
        }
    }

    /// What is read is what serde_json reads.
    #[test]
    fn values_are_read_as_by_serde_json(value in values()) {
        let text = value.to_string();
        prop_assert_eq!(&from_str::<Value>(&text).unwrap(), &value);
        prop_assert_eq!(&from_slice::<Value>(text.as_bytes()).unwrap(), &value);
        prop_assert_eq!(from_value::<Value>(&value).unwrap(), value);
    }

    /// A text that is cut off, or bytes at random, are an error and no panic.
    #[test]
    fn hostile_text_is_an_error(value in values(), cut in any::<prop::sample::Index>(), bytes: Vec<u8>) {
        let text = json!([value]).to_string();
        let cut = cut.get(&text.char_indices().map(|(at, _)| at).collect::<Vec<_>>()).to_owned();
        prop_assert!(from_str::<Tree<false>>(text.get(..cut).unwrap()).is_err());
        let _ = from_slice::<Tree<true>>(&bytes);
    }
}
