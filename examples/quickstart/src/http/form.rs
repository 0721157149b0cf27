//! The forms of a page: just enough HTML for the pages of a login.

/// A form, with what it would send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Where it goes, as written.
    pub action: String,
    /// Its named inputs with their values; buttons are not among them.
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// Fills in a field, which need not be there yet (a button, for example).
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(found, _)| found != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

/// All forms of a page.
pub fn forms(html: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut open = false;
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or(tag);
        let name = tag.split(|c: char| c.is_whitespace()).next().unwrap_or(tag);
        match (name, open) {
            ("form", _) => {
                open = true;
                forms.push(Form {
                    action: attribute(tag, "action").unwrap_or_default(),
                    fields: Vec::new(),
                });
            }
            ("/form", _) => open = false,
            ("input", true) => {
                if let (Some(form), Some(name)) = (forms.last_mut(), attribute(tag, "name")) {
                    form.fields
                        .push((name, attribute(tag, "value").unwrap_or_default()));
                }
            }
            _ => {}
        }
    }
    forms
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let value = tag.get(start..)?;
    let value = value.get(..value.find('"')?)?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&#x27;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_with_its_inputs_and_without_those_outside() {
        let page = r#"<input name="outside" value="x"><form method="post" action="/a?b=1&amp;c=2">
            <input type="hidden" name="request" value="r1"/><input name="login">
            <button name="user" value="alice">Alice</button></form><form action="/second"></form>"#;
        let found = forms(page);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].action, "/a?b=1&c=2");
        assert_eq!(found[0].field("request"), Some("r1"));
        assert_eq!(found[0].field("login"), Some(""));
        assert_eq!(found[0].field("user"), None);
        assert_eq!(
            found[0].clone().with("user", "alice").field("user"),
            Some("alice")
        );
    }
}
