//! From tokens to definitions: the grammar of OpenFGA's language, schema 1.1, without modules and conditions.
//! What both accept means the same here and there; a few models that can never be of use OpenFGA alone refuses.

use super::ModelError;
use super::ast::{Form, Name, Place, RelationDef, Restriction, Rewrite, TypeDef};
use super::lexer::{MARKS, Token, tokens};

/// How deep parentheses may be nested.
pub(super) const MAX_NESTING: usize = 16;

/// Words that would make a definition ambiguous, or that OpenFGA keeps for itself.
const RESERVED: [&str; 15] = [
    "and",
    "but",
    "condition",
    "define",
    "false",
    "from",
    "in",
    "not",
    "null",
    "or",
    "relations",
    "self",
    "this",
    "true",
    "with",
];

/// Reads a whole model.
pub(super) fn parse(text: &str) -> Result<Vec<TypeDef<'_>>, ModelError> {
    let mut parser = Parser {
        tokens: tokens(text),
        next: 0,
        nesting: 0,
        in_brackets: false,
        end: Place { line: 1, column: 1 },
    };
    parser.header()?;
    let mut types = Vec::new();
    while parser.peek() != Token::End {
        types.push(parser.type_def()?);
    }
    Ok(types)
}

/// Whether a type or relation may have this name; if not, why.
pub(super) fn check_name(text: &str, of: &str) -> Result<(), String> {
    if RESERVED.contains(&text) {
        return Err(format!("`{text}` cannot be the name of a {of}; choose another"));
    }
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let goes_on_well = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !begins_well || !text.chars().all(goes_on_well) || text.len() > 64 {
        let shown: String = text.chars().take(64).collect();
        return Err(format!(
            "`{shown}` is not a name: 1 to 64 characters from `a-z A-Z 0-9 _ -`, the first a letter"
        ));
    }
    Ok(())
}

struct Parser<'a> {
    tokens: Vec<(Token<'a>, Place)>,
    next: usize,
    /// How many parentheses are open.
    nesting: usize,
    /// Whether brackets are open: line ends mean nothing inside them.
    in_brackets: bool,
    /// Where the token before ended.
    end: Place,
}

impl<'a> Parser<'a> {
    fn header(&mut self) -> Result<(), ModelError> {
        self.keyword(
            "model",
            "a model begins with `model` and, on the next line, `schema 1.1`",
        )?;
        self.line_end()?;
        self.keyword("schema", "`schema 1.1` is expected after `model`")?;
        self.keyword("1.1", "only schema `1.1` is known; write `schema 1.1`")?;
        self.line_end()
    }

    fn type_def(&mut self) -> Result<TypeDef<'a>, ModelError> {
        let message = match self.peek() {
            Token::Word("condition") => "conditions are not supported; remove the condition",
            Token::Word("extend" | "module") => "modules are not supported; write all types into one model",
            _ => "`type` or the end of the model is expected here",
        };
        self.keyword("type", message)?;
        let name = self.name("type")?;
        self.line_end()?;
        let mut relations = Vec::new();
        if self.take(Token::Word("relations")) {
            self.line_end()?;
            while self.take(Token::Word("define")) {
                relations.push(self.relation_def()?);
            }
            if relations.is_empty() {
                return self.error("`define name: …` is expected after `relations`");
            }
        }
        Ok(TypeDef { name, relations })
    }

    fn relation_def(&mut self) -> Result<RelationDef<'a>, ModelError> {
        let name = self.name("relation")?;
        self.mark(':', "`:` is expected after the relation's name")?;
        let rewrite = self.rewrite(true)?;
        self.line_end()?;
        Ok(RelationDef { name, rewrite })
    }

    /// One operand, or several that are joined by one operator.
    fn rewrite(&mut self, first_in_definition: bool) -> Result<Rewrite<'a>, ModelError> {
        let first = self.operand(first_in_definition)?;
        let rewrite = match self.peek() {
            Token::Word(operator @ ("or" | "and")) => {
                self.apart("before")?;
                let mut operands = vec![first];
                while self.take(Token::Word(operator)) {
                    operands.push(self.operand_apart()?);
                }
                if operator == "or" {
                    Rewrite::Any(operands)
                } else {
                    Rewrite::All(operands)
                }
            }
            Token::Word("but") => {
                self.apart("before")?;
                self.take(Token::Word("but"));
                let gap = self.gap();
                if self.peek() == Token::Word("not") && gap != Some(1) {
                    return self.error("exactly one space stands between `but` and `not`");
                }
                self.keyword("not", "`not` is expected after `but`")?;
                Rewrite::Except(Box::new(first), Box::new(self.operand_apart()?))
            }
            _ => first,
        };
        if let Token::Word("or" | "and" | "but") = self.peek() {
            return self.error("different operators stand side by side; put parentheses around one of them");
        }
        Ok(rewrite)
    }

    fn operand(&mut self, first_in_definition: bool) -> Result<Rewrite<'a>, ModelError> {
        match self.peek() {
            Token::Mark('[') if !first_in_definition => self
                .error("the types in `[…]` come first in a definition, and once; move them to its beginning"),
            Token::Mark('[') => self.direct(),
            Token::Mark('(') => {
                if self.nesting >= MAX_NESTING {
                    return self
                        .error("parentheses are nested too deep; define a part as a relation of its own");
                }
                self.take(Token::Mark('('));
                self.nesting = self.nesting.saturating_add(1);
                let inner = self.rewrite(first_in_definition)?;
                self.mark(')', "`)` is expected here")?;
                self.nesting = self.nesting.saturating_sub(1);
                Ok(inner)
            }
            _ => {
                let relation = self.name("relation")?;
                if !self.take(Token::Word("from")) {
                    return Ok(Rewrite::Computed(relation));
                }
                let tupleset = self.name("relation")?;
                Ok(Rewrite::From { relation, tupleset })
            }
        }
    }

    fn direct(&mut self) -> Result<Rewrite<'a>, ModelError> {
        self.take(Token::Mark('['));
        self.in_brackets = true;
        let mut restrictions = Vec::new();
        loop {
            let kind = self.name("type")?;
            let form = if self.joined(Token::Mark('#'))? {
                if self.gap() != Some(0) {
                    return self.error("the name of a relation is expected after `#`");
                }
                Form::Userset(self.name("relation")?)
            } else if self.joined(Token::Mark(':'))? {
                if self.gap() != Some(0) {
                    return self.error("`*` is expected after `:`");
                }
                self.mark('*', "`*` is expected after `:`")?;
                Form::Wildcard
            } else {
                Form::Object
            };
            restrictions.push(Restriction { kind, form });
            if let Token::Word("with") = self.peek() {
                return self.error("conditions are not supported; remove `with` and the condition's name");
            }
            if !self.take(Token::Mark(',')) {
                break;
            }
        }
        self.mark(']', "`,` or `]` is expected here")?;
        self.in_brackets = false;
        Ok(Rewrite::Direct(restrictions))
    }

    fn name(&mut self, of: &str) -> Result<Name<'a>, ModelError> {
        let at = self.place();
        let Token::Word(text) = self.peek() else {
            return self.error(&format!("the name of a {of} is expected here"));
        };
        if let Err(message) = check_name(text, of) {
            return self.error(&message);
        }
        self.take(Token::Word(text));
        Ok(Name { text, at })
    }

    fn keyword(&mut self, word: &str, otherwise: &str) -> Result<(), ModelError> {
        if self.take(Token::Word(word)) {
            Ok(())
        } else {
            self.error(otherwise)
        }
    }

    fn mark(&mut self, mark: char, otherwise: &str) -> Result<(), ModelError> {
        if self.take(Token::Mark(mark)) {
            Ok(())
        } else {
            self.error(otherwise)
        }
    }

    fn line_end(&mut self) -> Result<(), ModelError> {
        if self.peek() == Token::End || self.take(Token::LineEnd) {
            Ok(())
        } else {
            self.error("the end of the line is expected here")
        }
    }

    /// Takes the mark that joins two names, as it does without spaces around it.
    fn joined(&mut self, mark: Token<'_>) -> Result<bool, ModelError> {
        let gap = self.gap();
        if self.peek() == mark && gap != Some(0) {
            return self.error("no space stands here; write `group#member` and `user:*`");
        }
        Ok(self.take(mark))
    }

    /// An operator stands apart from what is before and behind it.
    fn apart(&mut self, side: &str) -> Result<(), ModelError> {
        if self.gap() == Some(0) {
            return self.error(&format!("a space is expected {side} the operator"));
        }
        Ok(())
    }

    fn operand_apart(&mut self) -> Result<Rewrite<'a>, ModelError> {
        self.apart("behind")?;
        self.operand(false)
    }

    /// How many characters stand between the token before and the next one, if both are in one line.
    fn gap(&mut self) -> Option<usize> {
        let at = self.place();
        (at.line == self.end.line)
            .then(|| at.column.checked_sub(self.end.column))
            .flatten()
    }

    /// The next token, and from here on `next` stands at it.
    fn peek(&mut self) -> Token<'a> {
        while self.in_brackets && self.current().0 == Token::LineEnd {
            self.next = self.next.saturating_add(1);
        }
        self.current().0
    }

    fn take(&mut self, token: Token<'_>) -> bool {
        let found = self.peek() == token;
        if found {
            let Place { line, column } = self.place();
            let length = match token {
                Token::Word(text) => text.len(),
                Token::Mark(_) => 1,
                Token::LineEnd | Token::End => 0,
            };
            self.end = Place {
                line,
                column: column.saturating_add(length),
            };
            self.next = self.next.saturating_add(1);
        }
        found
    }

    fn place(&mut self) -> Place {
        self.peek();
        self.current().1
    }

    fn current(&self) -> (Token<'a>, Place) {
        let last = (Token::End, Place { line: 1, column: 1 });
        self.tokens
            .get(self.next)
            .or(self.tokens.last())
            .copied()
            .unwrap_or(last)
    }

    fn error<T>(&mut self, message: &str) -> Result<T, ModelError> {
        let message = match self.peek() {
            Token::Mark(mark) if !MARKS.contains(&mark) => {
                format!("`{mark}` has no meaning in a model; remove it")
            }
            _ => message.to_owned(),
        };
        Err(ModelError::at(self.place(), message))
    }
}
