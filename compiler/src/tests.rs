//! Whole projects, as the Worker hands them over.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

fn answer(files: &Value) -> Value {
    let tailwind = json!({ "v4": "https://cdn/tw4.js", "v3": "https://cdn/tw3.js" });
    let task = json!({ "task": "compile", "files": files, "cdn": "https://esm.sh", "tailwind": tailwind });
    serde_json::from_str(&super::run(&task.to_string())).unwrap()
}

/// The files of the site that comes out.
fn site(files: &Value) -> std::collections::BTreeMap<String, String> {
    let answer = answer(files);
    assert_eq!(answer["outcome"], "site", "{answer}");
    serde_json::from_value::<Vec<(String, String)>>(answer["files"].clone()).unwrap().into_iter().collect()
}

/// `path:line: message` of each diagnostic.
fn wrong(files: &Value) -> Vec<String> {
    let answer = answer(files);
    assert_eq!(answer["outcome"], "wrong", "{answer}");
    let told = |d: &Value| {
        format!("{}:{}: {}", d["path"].as_str().unwrap(), d["line"], d["message"].as_str().unwrap())
    };
    answer["diagnostics"].as_array().unwrap().iter().map(told).collect()
}

const INDEX: &str = "<!doctype html>\n<html>\n<head><title>x</title></head>\n<body><div id=\"root\"></div>\
    <script type=\"module\" src=\"/src/main.tsx\"></script></body>\n</html>\n";

fn vite() -> Value {
    json!({
        "index.html": INDEX,
        "package.json": r#"{"name":"shop","dependencies":{"react":"^18.3.1","react-dom":"^18.3.1","zustand":"^4.5.0"},
            "devDependencies":{"tailwindcss":"^4.1.0","vite":"^6.0.0"}}"#,
        "vite.config.ts": "export default {}",
        "tsconfig.json": "{ \"compilerOptions\": { \"paths\": { \"@/*\": [\"./src/*\"] } } } // ok",
        ".env": "VITE_NAME=Shop\nDATABASE_URL=secret",
        "public/logo.svg": "<svg/>",
        "src/main.tsx": "import { createRoot } from 'react-dom/client';\nimport App from './App';\nimport './index.css';\n\
            createRoot(document.getElementById('root')!).render(<App />);",
        "src/App.tsx": "import { useState } from 'react';\nimport { create } from 'zustand';\nimport type { Item } from '@/types';\n\
            import { List } from '@/components/List';\nimport data from './data.json';\nimport styles from './App.module.css';\n\
            import logo from '/logo.svg';\n\
            export default function App() { const [n] = useState<number>(0); create; \
            return <main className={styles.card}><img src={logo}/>{import.meta.env.VITE_NAME}<List items={data as Item[]}/>{n}</main> }",
        "src/types.ts": "export interface Item { id: number }",
        "src/components/List.tsx": "import './list.css';\nexport const List = (p: { items: unknown[] }) => <ul>{p.items.length}</ul>;",
        "src/components/list.css": "ul{}",
        "src/data.json": "[1,2]",
        "src/App.module.css": ".card{color:red}",
        "src/index.css": "@import \"tailwindcss\";",
        "src/App.test.tsx": "import { test } from 'vitest'",
    })
}

#[test]
fn a_vite_project_becomes_a_site() {
    let site = site(&vite());
    let served: Vec<&str> = site.keys().map(String::as_str).collect();
    assert_eq!(
        served,
        [
            "index.html",
            "logo.svg",
            "logo.svg.js",
            "src/App.module.css",
            "src/App.module.css.js",
            "src/App.tsx.js",
            "src/components/List.tsx.js",
            "src/components/list.css",
            "src/data.json",
            "src/data.json.js",
            "src/index.css",
            "src/main.tsx.js",
        ]
    );
    let app = &site["src/App.tsx.js"];
    for written in [
        "from \"./components/List.tsx.js\"",
        "from \"./data.json.js\"",
        "from \"./App.module.css.js\"",
        "from \"../logo.svg.js\"",
        "from \"zustand\"",
        "\"VITE_NAME\":\"Shop\"",
        "new URL(\"./../\", import.meta.url)",
    ] {
        assert!(app.contains(written), "{written} in {app}");
    }
    assert!(!site.values().any(|text| text.contains("secret")), "what is not for the browser stays");
}

#[test]
fn a_page_has_what_its_modules_need() {
    let page = &site(&vite())["index.html"];
    let map = page.split("<script type=\"importmap\">").nth(1).unwrap().split("</script>").next().unwrap();
    let map: Value = serde_json::from_str(map).unwrap();
    assert_eq!(map["imports"]["react"], "https://esm.sh/react@18.3.1");
    assert_eq!(map["imports"]["react/jsx-runtime"], "https://esm.sh/react@18.3.1/jsx-runtime");
    assert_eq!(map["imports"]["zustand"], "https://esm.sh/zustand@4.5.0?external=react,react-dom");
    let places: Vec<usize> = [
        "<head>",
        "importmap",
        "https://cdn/tw4.js",
        "@import \"tailwindcss\"",
        "modulepreload",
        "<title>",
        "href=\"/src/components/list.css\"",
        "href=\"/src/App.module.css\"",
        "</head>",
        "src=\"/src/main.tsx.js\"",
    ]
    .iter()
    .map(|part| page.find(part).unwrap_or_else(|| panic!("{part} in {page}")))
    .collect();
    assert!(places.is_sorted(), "{places:?} {page}");
}

#[test]
fn a_component_alone_becomes_an_app() {
    let site = site(&json!({ "App.tsx": "export default () => <p className=\"bg-sky-500\">hello</p>" }));
    assert!(
        site["index.html"].contains("<div id=\"root\">") && site["index.html"].contains("/main.made.jsx.js")
    );
    assert!(site["index.html"].contains("https://esm.sh/react@19"));
    assert!(site["index.html"].contains("https://cdn/tw4.js"));
    assert!(site["main.made.jsx.js"].contains("./App.tsx.js"));
    assert!(wrong(&json!({ "App.tsx": "const x = 1" }))[0].contains("exports no component"));
}

#[test]
fn create_react_app_and_nested_projects_are_understood() {
    let main = "import ReactDOM from 'react-dom/client'; ReactDOM.createRoot(document.getElementById('root')).render(<p>{process.env.REACT_APP_X}</p>)";
    let site1 = site(&json!({
        "public/index.html": "<head><link rel=icon href=%PUBLIC_URL%/x.svg></head><div id=root></div>",
        "public/x.svg": "<svg/>", "src/index.js": main, ".env": "REACT_APP_X=1",
    }));
    assert!(site1["index.html"].contains("href=/x.svg") && site1["index.html"].contains("/src/index.js\""));
    assert!(site1["index.html"].contains("\"REACT_APP_X\":\"1\"") && site1.contains_key("x.svg"));
    let nested = site(&json!({ "README.md": "", "client/index.html": INDEX, "client/src/main.tsx": main }));
    assert_eq!(nested.keys().collect::<Vec<_>>(), ["index.html", "src/main.tsx.js"]);
    let broken = json!({ "client/index.html": INDEX, "client/src/main.tsx": "import './x'" });
    assert!(wrong(&broken)[0].starts_with("client/src/main.tsx:1:"));
}

#[test]
fn an_svg_is_an_address_and_a_component_where_that_is_asked_for() {
    let source =
        "import a from './x.svg'; import B from './x.svg?react'; import t from './x.svg?raw'; [a, B, t]";
    let files = json!({ "index.html": INDEX, "src/main.tsx": source, "src/x.svg": "<svg/>" });
    let site = site(&files);
    assert_eq!(site["src/x.svg.js"], "export default new URL(\"./x.svg\", import.meta.url).href;\n");
    assert!(site["src/x.svg.component.js"].contains("export { ReactComponent as default }"));
    assert_eq!(site["src/x.svg.raw.js"], "export default \"<svg/>\";\n");
    let mut cra = files;
    cra["package.json"] = r#"{"dependencies":{"react-scripts":"5"}}"#.into();
    cra["src/main.tsx"] = "import url, { ReactComponent } from './x.svg'; [url, ReactComponent]".into();
    let module = &self::site(&cra)["src/x.svg.js"];
    assert!(module.contains("export const ReactComponent") && module.contains("export default url"));
}

#[test]
fn an_inline_module_and_an_import_map_of_the_page_are_kept_in_force() {
    let page = "<head><script type=importmap>{\"imports\":{\"react\":\"https://mine/react\"}}</script></head>\
        <script type=\"module\">import x from './a'; import 'react'; import 'lit'; x</script>";
    let site = site(&json!({ "index.html": page, "a.ts": "export default 1 as number" }));
    let index = &site["index.html"];
    assert!(index.contains("https://mine/react") && index.contains("https://esm.sh/lit"), "{index}");
    assert_eq!(index.matches("importmap").count(), 1);
    assert!(index.contains("src=\"/index.html.2.js\"") && site["index.html.2.js"].contains("./a.ts.js"));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let told = wrong(&json!({
        "index.html": INDEX,
        "package.json": r#"{"dependencies":{"react":"18.3.1","react-dom":"18.3.1"}}"#,
        "src/main.tsx": "import './App';\nimport './nothing';\nimport 'lodash';\nimport fs from 'fs'; fs",
        "src/App.tsx": "export default function App() {\n  return <div>;\n}",
    }));
    for (n, part) in [
        "src/App.tsx:3:",
        "src/main.tsx:2: cannot find \"./nothing\"",
        "src/main.tsx:3: \"lodash\" is not in package.json",
        "src/main.tsx:4: \"fs\" is a module of Node.js",
    ]
    .iter()
    .enumerate()
    {
        assert!(told.get(n).is_some_and(|line| line.starts_with(part)), "{part} in {told:?}");
    }
    assert!(wrong(&json!({ "index.html": INDEX }))[0].contains("there is no file /src/main.tsx"));
    assert!(
        wrong(&json!({ "package.json": "{", "src/App.tsx": "" }))[0]
            .starts_with("package.json:1: not a valid")
    );
    assert!(
        wrong(&json!({ "app/page.tsx": "", "package.json": r#"{"dependencies":{"next":"14"}}"# }))[0]
            .contains("Next.js")
    );
}

#[test]
fn no_more_than_ten_errors_are_told() {
    let imports: String = (0..50).fold(String::new(), |mut all, n| {
        let _ = writeln!(all, "import './missing{n}';");
        all
    });
    let mut files = json!({ "index.html": INDEX, "src/main.tsx": "import './a'; import './b'" });
    files["src/a.ts"] = imports.clone().into();
    files["src/b.ts"] = imports.into();
    let told = wrong(&files);
    assert_eq!(told.len(), 11);
    assert!(told[10].contains("10 more errors"));
}

#[test]
fn modules_may_import_each_other_in_a_circle() {
    let site = site(&json!({
        "index.html": INDEX,
        "src/main.tsx": "import './a'",
        "src/a.ts": "import { b } from './b'; export const a = () => b",
        "src/b.ts": "import { a } from './a'; export const b = () => a; import './main'",
    }));
    assert!(site["src/b.ts.js"].contains("./a.ts.js"));
}

#[test]
fn a_plain_site_is_left_alone() {
    let page = "<!doctype html><script src=app.js></script>";
    for files in [
        json!({ "index.html": page, "app.js": "1", "package.json": "{ broken" }),
        json!({ "index.html": page, "app.js": "1", "notes/App.tsx": "export default 1" }),
        json!({ "notes.txt": "" }),
    ] {
        assert_eq!(answer(&files)["outcome"], "plain", "{files}");
    }
}

#[test]
fn syntax_is_checked_without_a_page() {
    let task = json!({ "task": "check", "files": { "a.ts": "let x: = 1", "b.tsx": "<p>", "c.js": "1", "d.d.ts": "(((", "e.md": "(((" } });
    let answer: Value = serde_json::from_str(&super::run(&task.to_string())).unwrap();
    let paths: Vec<&str> =
        answer["diagnostics"].as_array().unwrap().iter().map(|d| d["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["a.ts", "b.tsx"]);
}

proptest! {
    #[test]
    fn no_project_makes_it_panic(
        page in "(<script type=module src=|<head>|</head>|<div id=root>|/a.tsx|a.js|>|<script>|\"|é){0,12}",
        source in "(import |export default |from |'./b'|'react'|\"./c.css\"|\\{ x \\}|<p>|</p>|;|\n|import\\.meta\\.env|é){0,14}",
        manifest in "(\\{|\\}|\"dependencies\"|:|\"react\"|\"\\^1\\.2\"|,){0,8}",
    ) {
        let files = json!({ "index.html": page, "a.tsx": source, "b.js": source, "c.css": source, "package.json": manifest });
        let answer = answer(&files);
        prop_assert!(["plain", "site", "wrong"].contains(&answer["outcome"].as_str().unwrap()));
        super::run(&source);
    }
}
