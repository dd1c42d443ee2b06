// Answers what GitOps tools would make of an object, by the libraries that they are built of.
//
// It reads one question a line on standard input and writes one answer a line, both JSON:
//
//	{"ask": "lua", "script": TEXT, "object": {...}, "now": SECONDS}   as Argo CD runs health checks and actions
//	{"ask": "kstatus", "object": {...}}                               as Flux and kpt tell whether an object is ready
//	{"ask": "applied", "live": {...}, "wanted": {...}, "managers": [...], "expressions": [...]}
//	                                                                  what Argo CD's self-heal would apply, and whether
//
// The answer is {"answer": ...} or {"error": TEXT}.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	jsonpatch "github.com/evanphx/json-patch"
	"github.com/itchyny/gojq"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

type question struct {
	Ask         string         `json:"ask"`
	Script      string         `json:"script"`
	Object      map[string]any `json:"object"`
	Now         int64          `json:"now"`
	Live        map[string]any `json:"live"`
	Wanted      map[string]any `json:"wanted"`
	Managers    []string       `json:"managers"`
	Expressions []string       `json:"expressions"`
}

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			found, wrong := answer(line)
			reply := map[string]any{"answer": found}
			if wrong != nil {
				reply = map[string]any{"error": wrong.Error()}
			}
			if err := answers.Encode(reply); err != nil {
				os.Exit(1)
			}
		}
		if err != nil {
			return
		}
	}
}

func answer(line []byte) (any, error) {
	var q question
	if err := json.Unmarshal(line, &q); err != nil {
		return nil, err
	}
	switch q.Ask {
	case "lua":
		return runLua(q.Script, q.Object, q.Now)
	case "kstatus":
		return kstatus(q.Object)
	case "applied":
		return applied(q)
	}
	return nil, fmt.Errorf("nothing is known of %q", q.Ask)
}

// runLua opens what Argo CD opens unless it is told otherwise: the base and table libraries, and a clock.
func runLua(script string, object map[string]any, now int64) (any, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return nil, err
		}
	}
	clock := state.NewTable()
	clock.RawSetString("time", state.NewFunction(func(l *lua.LState) int {
		l.Push(lua.LNumber(now))
		return 1
	}))
	clock.RawSetString("date", state.NewFunction(func(l *lua.LState) int {
		if l.OptString(1, "") != "!%Y-%m-%dT%H:%M:%SZ" {
			l.RaiseError("only the date format !%%Y-%%m-%%dT%%H:%%M:%%SZ is known here")
		}
		l.Push(lua.LString(time.Unix(now, 0).UTC().Format("2006-01-02T15:04:05Z")))
		return 1
	}))
	state.SetGlobal("os", clock)
	state.SetGlobal("obj", toLua(state, object))
	function, err := state.LoadString(script)
	if err != nil {
		return nil, err
	}
	state.Push(function)
	if err := state.PCall(0, 1, nil); err != nil {
		return nil, err
	}
	return fromLua(state.Get(-1)), nil
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case bool:
		return lua.LBool(v)
	case float64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case []any:
		table := state.NewTable()
		for _, each := range v {
			table.Append(toLua(state, each))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, each := range v {
			table.RawSetString(key, toLua(state, each))
		}
		return table
	}
	return lua.LNil
}

// fromLua: an empty table may be either kind, and is taken for a map, as it would be sent.
func fromLua(value lua.LValue) any {
	switch v := value.(type) {
	case lua.LBool:
		return bool(v)
	case lua.LNumber:
		return float64(v)
	case lua.LString:
		return string(v)
	case *lua.LTable:
		if v.Len() > 0 {
			list := []any{}
			for i := 1; i <= v.Len(); i++ {
				list = append(list, fromLua(v.RawGetInt(i)))
			}
			return list
		}
		object := map[string]any{}
		v.ForEach(func(key, each lua.LValue) { object[key.String()] = fromLua(each) })
		return object
	}
	return nil
}

func kstatus(object map[string]any) (any, error) {
	result, err := status.Compute(&unstructured.Unstructured{Object: whole(object).(map[string]any)})
	if err != nil {
		return nil, err
	}
	return map[string]any{"status": result.Status.String(), "message": result.Message}, nil
}

// whole makes integers of whole numbers: what the API's own decoder would have made of them.
func whole(value any) any {
	switch v := value.(type) {
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = whole(v[key])
		}
	}
	return value
}

// applied follows what Argo CD does with ignoreDifferences and the sync option RespectIgnoreDifferences=true: what is
// ignored is taken out of both sides; what that took out of the live object is put into the wanted one as a merge patch,
// which knows lists only as wholes. The answer says whether a difference is left, and what a sync would apply.
func applied(q question) (any, error) {
	live, wanted, err := unmanaged(q.Live, q.Wanted, q.Managers)
	if err != nil {
		return nil, err
	}
	for _, expression := range q.Expressions {
		if live, err = without(expression, live); err != nil {
			return nil, err
		}
		if wanted, err = without(expression, wanted); err != nil {
			return nil, err
		}
	}
	before, err := json.Marshal(live)
	if err != nil {
		return nil, err
	}
	after, err := json.Marshal(q.Live)
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.CreateMergePatch(before, after)
	if err != nil {
		return nil, err
	}
	var taken map[string]any
	if err := json.Unmarshal(patch, &taken); err != nil {
		return nil, err
	}
	delete(taken, "status")
	if metadata, ok := taken["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")
	}
	if patch, err = json.Marshal(taken); err != nil {
		return nil, err
	}
	target, err := json.Marshal(wanted)
	if err != nil {
		return nil, err
	}
	if target, err = jsonpatch.MergePatch(target, patch); err != nil {
		return nil, err
	}
	var result map[string]any
	if err := json.Unmarshal(target, &result); err != nil {
		return nil, err
	}
	return map[string]any{"differs": !contains(live, wanted), "applies": result}, nil
}

// contains: everything that is wanted is there; what is there beside it is nobody's business. An empty map is as good as
// none: the API server keeps none of them.
func contains(there, wanted any) bool {
	switch w := wanted.(type) {
	case map[string]any:
		t, ok := there.(map[string]any)
		ok = ok || len(w) == 0 && there == nil
		for key, each := range w {
			if !ok || !contains(t[key], each) {
				return false
			}
		}
		return ok
	case []any:
		t, ok := there.([]any)
		if !ok || len(t) != len(w) {
			return false
		}
		for i := range w {
			if !contains(t[i], w[i]) {
				return false
			}
		}
		return true
	}
	return there == wanted
}

func without(expression string, object map[string]any) (map[string]any, error) {
	query, err := gojq.Parse("del(" + expression + ")")
	if err != nil {
		return nil, err
	}
	found, _ := query.Run(object).Next()
	if err, failed := found.(error); failed {
		return nil, err
	}
	return found.(map[string]any), nil
}

// unmanaged takes out of both what differs and is owned by one of the managers. It compares without a schema, as is done
// for custom resources: a list is one field.
func unmanaged(live, wanted map[string]any, managers []string) (map[string]any, map[string]any, error) {
	if len(managers) == 0 {
		return live, wanted, nil
	}
	before, err := typed.DeducedParseableType.FromUnstructured(live)
	if err != nil {
		return nil, nil, err
	}
	after, err := typed.DeducedParseableType.FromUnstructured(wanted)
	if err != nil {
		return nil, nil, err
	}
	comparison, err := before.Compare(after)
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range (&unstructured.Unstructured{Object: live}).GetManagedFields() {
		if entry.FieldsV1 == nil || !slices.Contains(managers, entry.Manager) {
			continue
		}
		owned := &fieldpath.Set{}
		if err := owned.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())); err != nil {
			return nil, nil, err
		}
		common := owned.Intersection(comparison.Modified)
		before, after = before.RemoveItems(common), after.RemoveItems(common)
	}
	return before.AsValue().Unstructured().(map[string]any), after.AsValue().Unstructured().(map[string]any), nil
}
