using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;
using static Zqfp.Quantization.Tests.MixtureNodes;

namespace Zqfp.Quantization.Tests;

/// <summary>Spells a mixture of experts, gated by SiLU, as exporters do.</summary>
/// <param name="nodes">The graph.</param>
/// <param name="mixture">Sizes and routing.</param>
/// <param name="form">Which spelling: words, the first of which says what kind.</param>
internal sealed class MixtureForms(MixtureNodes nodes, Mixture mixture, string form)
{
    private const int Width = MixtureGraph.Width;

    private readonly string[] _words = form.Split(' ');

    private int Experts => mixture.Experts;

    private int PerToken => mixture.PerToken;

    private int Inner => mixture.Inner;

    /// <summary>What the experts make of the rows [T, K], weighted and summed.</summary>
    public string Spell(string rows, string router) => _words[0] switch
    {
        "pick" => SpellPicked(rows, Route(router)),
        "all" => SpellAll(rows, Route(router)),
        "loop" => SpellLoop(rows, Route(router)),
        "body" => SpellBody(rows, Route(router)),
        "sorted" => SpellSorted(rows, Route(router)),
        _ => SpellOperator(rows, router),
    };

    private bool Has(string word) => Array.IndexOf(_words, word) > 0;

    /// <summary>Weights and experts of each token [T, k].</summary>
    private (string Weights, string Index) Route(string router)
    {
        AttributeProto last = Int("axis", -1);
        string k = nodes.Integers(PerToken);
        switch (mixture.Routing)
        {
            case "softmax":
                string[] probable = nodes.Nodes("TopK", 2, [nodes.Node("Softmax", [router], last), k], last);
                return (Normalized(probable[0]), probable[1]);
            case "raw":
                string[] raw = nodes.Nodes("TopK", 2, [nodes.Node("Softmax", [router], last), k], last);
                return (raw[0], raw[1]);
            case "largest":
                string[] largest = nodes.Nodes("TopK", 2, [router, k], last);
                return (nodes.Node("Softmax", [largest[0]], last), largest[1]);
            case "sigmoid":
                string[] top = nodes.Nodes("TopK", 2, [router, k], last);
                return (nodes.Node("Sigmoid", [top[0]]), top[1]);
            default:
                // DeepSeek: scores with a correction, the better of two groups, weights without the correction.
                string scores = nodes.Node("Sigmoid", [router]);
                string corrected = nodes.Node("Add", [scores, nodes.Random("correction", 0.1f, 0, Experts)]);
                string grouped = nodes.Reshape(corrected, -1, 2, Experts / 2);
                string best = nodes.Nodes("TopK", 2, [grouped, nodes.Integers(2)], last)[0];
                string groups = nodes.Nodes("TopK", 2, [nodes.Sum(best, -1), nodes.Integers(1)], last)[1];
                string zeros = nodes.Node("Mul", [nodes.Sum(grouped, -1), nodes.Number(0)]);
                string ones = nodes.Node("Expand", [nodes.Number(1), nodes.Node("Shape", [groups])]);
                string mask = nodes.Node("ScatterElements", [zeros, groups, ones], Int("axis", 1));
                string spread = nodes.Node("Expand", [nodes.Unsqueeze(mask, -1), nodes.Node("Shape", [grouped])]);
                string wide = nodes.Reshape(spread, -1, Experts);
                string chosen = nodes.Node("Where", [nodes.Cast(wide, DataType.Bool), corrected, nodes.Number(0)]);
                string index = nodes.Nodes("TopK", 2, [chosen, k], last)[1];
                string weights = Normalized(nodes.Node("GatherElements", [scores, index], Int("axis", 1)));
                return (nodes.Node("Mul", [weights, nodes.Number(2.5f)]), index);
        }
    }

    private string Normalized(string weights) => nodes.Node("Div",
        [weights, nodes.Node("ReduceSum", [weights, nodes.Integers(-1)], Int("keepdims", 1))]);

    /// <summary>Gate and up projection, in one or apart, and the activation.</summary>
    private string Active(Func<string, int, string> product)
    {
        if (Has("separate"))
        {
            return nodes.Node("Mul", [nodes.Silu(product("gate", Inner)), product("up", Inner)]);
        }

        string both = product("gate_up", 2 * Inner);
        string[] parts = Has("interleaved")
            ? [.. Enumerable.Range(0, 2).Select(i => nodes.Node("Slice",
                [both, nodes.Integers(i), nodes.Integers(int.MaxValue), nodes.Integers(-1), nodes.Integers(2)]))]
            : nodes.Nodes("Split", 2, [both], Int("axis", -1), Int("num_outputs", 2));
        if (Has("clamped"))
        {
            // As gpt-oss bounds them, where an exporter has no Clip; and NaN becomes 0.
            parts[0] = nodes.Node("Min", [parts[0], nodes.Number(0.5f)]);
            parts[1] = nodes.Node("Max", [nodes.Node("Min", [parts[1], nodes.Number(0.5f)]), nodes.Number(-0.5f)]);
            parts[1] = nodes.Node("Where", [nodes.Node("IsNaN", [parts[1]]), nodes.Number(0), parts[1]]);
        }

        return nodes.Node("Mul", [nodes.Silu(parts[0]), parts[1]]);
    }

    private string SpellPicked(string rows, (string Weights, string Index) route)
    {
        if (Has("tokens"))
        {
            // A token stays one row for its k experts.
            string one = nodes.Unsqueeze(rows, 1);
            string active = Active((name, outputs) => Tokens(one, name, outputs, Width));
            string made = Tokens(active, "down", Width, Inner);
            return nodes.Sum(nodes.Node("Mul", [made, nodes.Unsqueeze(route.Weights, -1)]), 1);
        }

        string index = nodes.Reshape(route.Index, -1);
        string repeated = nodes.Reshape(nodes.Node("Expand", [nodes.Unsqueeze(rows, 1), nodes.Integers(1, PerToken, 1)]), -1, Width);
        string inner = Active((name, outputs) => Pick(repeated, index, name, outputs, Width));
        string each = Pick(inner, index, "down", Width, Inner);
        string weighted = nodes.Node("Mul", [each, nodes.Reshape(route.Weights, -1, 1)]);
        return nodes.Sum(nodes.Reshape(weighted, -1, PerToken, Width), 1);

        string Tokens(string x, string name, int outputs, int inputs)
        {
            string picked = nodes.Node("Gather", [nodes.Weights(name, Experts, outputs, inputs), route.Index]);
            return Has("einsum")
                ? nodes.Node("Einsum", name == "down" ? [picked, x] : [picked, nodes.Squeeze(x, 1)],
                    Text("equation", name == "down" ? "beck,bek->bec" : "beck,bk->bec"))
                : nodes.Squeeze(nodes.Node("MatMul", [picked, nodes.Unsqueeze(x, -1)]), -1);
        }
    }

    /// <summary>Rows [R, K] with the matrix of each row's expert: [R, N].</summary>
    private string Pick(string x, string index, string name, int outputs, int inputs)
    {
        string product;
        switch (_words[1])
        {
            case "left":
                product = Left(nodes.Node("Gather", [nodes.Weights(name, Experts, outputs, inputs), index]));
                break;
            case "right":
                product = Right(nodes.Node("Gather", [nodes.Weights(name, Experts, outputs, inputs, isInputMajor: true), index]));
                break;
            case "nd":
                product = Left(nodes.Node("GatherND", [nodes.Weights(name, Experts, outputs, inputs), nodes.Unsqueeze(index, -1)]));
                break;
            case "turned-after":
                product = Right(nodes.Node("Transpose",
                    [nodes.Node("Gather", [nodes.Weights(name, Experts, outputs, inputs), index])], Perm(0, 2, 1)));
                break;
            case "turned-before":
                product = Right(nodes.Node("Gather",
                    [nodes.Node("Transpose", [nodes.Weights(name, Experts, outputs, inputs)], Perm(0, 2, 1)), index]));
                break;
            case "cast-before":
                product = Left(nodes.Node("Gather",
                    [nodes.Cast(nodes.Weights(name, Experts, outputs, inputs, stored: DataType.Float16), nodes.Type), index]));
                break;
            case "cast-after":
                product = Left(nodes.Cast(
                    nodes.Node("Gather", [nodes.Weights(name, Experts, outputs, inputs, stored: DataType.Bfloat16), index]), nodes.Type));
                break;
            case "reshaped":
                product = Left(nodes.Node("Gather",
                    [nodes.Reshape(nodes.Weights(name, null, Experts * outputs, inputs), Experts, outputs, inputs), index]));
                break;
            case "reshaped-after" or "reshaped-three":
                // Stored as rows of numbers, one row an expert.
                string flat = nodes.Weights(name, Experts, outputs, inputs);
                TensorProto stored = nodes.Graph.Initializer.Single(tensor => tensor.Name == flat);
                stored.Dims.Clear();
                stored.Dims.Add(_words[1] == "reshaped-three" ? [Experts, 1, outputs * inputs] : [Experts, outputs * inputs]);
                product = Left(nodes.Reshape(nodes.Node("Gather", [flat, index]), -1, outputs, inputs));
                break;
            case "joined":
                // Weights of their own, joined to a stack.
                string[] each = [.. Enumerable.Range(0, Experts).Select(
                    expert => nodes.Unsqueeze(nodes.Weights($"experts.{expert}.{name}", null, outputs, inputs), 0))];
                product = Left(nodes.Node("Gather", [nodes.Node("Concat", each, Int("axis", 0)), index]));
                break;
            case "squeezed":
                string four = nodes.Weights(name, Experts, outputs, inputs);
                nodes.Graph.Initializer.Single(tensor => tensor.Name == four).Dims.Insert(1, 1);
                product = Left(nodes.Squeeze(nodes.Node("Gather", [four, index]), 1));
                break;
            case "einsum-left":
                return nodes.Node("Einsum", [nodes.Node("Gather", [nodes.Weights(name, Experts, outputs, inputs), index]), x],
                    Text("equation", "rnk,rk->rn"));
            case "einsum-right":
                return nodes.Node("Einsum",
                    [x, nodes.Node("Gather", [nodes.Weights(name, Experts, outputs, inputs, isInputMajor: true), index])],
                    Text("equation", "rk,rkn->rn"));
            default:
                throw new ArgumentException(form);
        }

        return mixture.HasBias
            ? nodes.Node("Add", [product, nodes.Node("Gather", [nodes.Random($"{name}.bias", 0.1f, 0, Experts, outputs), index])])
            : product;

        string Left(string picked) => nodes.Squeeze(nodes.Node("MatMul", [picked, nodes.Unsqueeze(x, -1)]), -1);

        string Right(string picked) => nodes.Squeeze(nodes.Node("MatMul", [nodes.Unsqueeze(x, 1), picked]), 1);
    }

    private string SpellAll(string rows, (string Weights, string Index) route)
    {
        string zeros = nodes.Node("Expand", [nodes.Number(0), nodes.Node("Concat",
            [nodes.Node("Shape", [rows], Int("end", 1)), nodes.Integers(Experts)], Int("axis", 0))]);
        string gates = nodes.Node("ScatterElements", [zeros, route.Index, route.Weights], Int("axis", 1));
        string byExpert = nodes.Unsqueeze(nodes.Node("Transpose", [gates], Perm(1, 0)), -1);
        string x = _words[1] switch
        {
            "right" or "turned" => nodes.Unsqueeze(rows, 0),
            "repeated" => nodes.Reshape(nodes.Node("Tile", [rows, nodes.Integers(Experts, 1)]), Experts, -1, Width),
            "scaled" => nodes.Node("Mul",
                [nodes.Reshape(nodes.Node("Tile", [rows, nodes.Integers(Experts, 1)]), Experts, -1, Width), byExpert]),
            "left" => nodes.Node("Transpose", [rows], Perm(1, 0)),
            "four" or "four-ones" => nodes.Unsqueeze(nodes.Unsqueeze(rows, 1), 1),
            "einsum" when _words[2] == "bnk,ekm->benm" => nodes.Unsqueeze(rows, 0),
            "einsum" when _words[2].StartsWith("etd", StringComparison.Ordinal) =>
                nodes.Node("Einsum", [nodes.Cast(nodes.Cast(gates, DataType.Bool), nodes.Type), rows], Text("equation", "te,td->etd")),
            _ => rows,
        };
        if (_words[1] == "left")
        {
            string fused = Column(x, "gate_up", 2 * Inner, Width);
            string[] parts = nodes.Nodes("Split", 2, [fused], Int("axis", 1), Int("num_outputs", 2));
            string columns = Column(nodes.Node("Mul", [nodes.Silu(parts[0]), parts[1]]), "down", Width, Inner);
            return nodes.Sum(nodes.Node("Mul", [nodes.Node("Transpose", [columns], Perm(0, 2, 1)), byExpert]), 0);
        }

        string active = Active((name, outputs) => Product(x, name, outputs, Width, isFirst: true));
        string made = Product(active, "down", Width, Inner, isFirst: false);
        return _words[1] switch
        {
            "scaled" => nodes.Sum(made, 0),
            "four" or "four-ones" => nodes.Sum(nodes.Node("Mul", [nodes.Squeeze(made, 2), nodes.Unsqueeze(gates, -1)]), 1),
            "einsum" when _words[2] == "bnk,ekm->benm" => nodes.Squeeze(nodes.Sum(nodes.Node("Mul", [made, byExpert]), 1), 0),
            "einsum" when _words[2].EndsWith("->tef", StringComparison.Ordinal) =>
                nodes.Sum(nodes.Node("Mul", [made, nodes.Unsqueeze(gates, -1)]), 1),
            "einsum" when Has("combined") => nodes.Node("Einsum", [gates, made], Text("equation", "te,etd->td")),
            _ => nodes.Sum(nodes.Node("Mul", [made, byExpert]), 0),
        };

        string Column(string of, string name, int outputs, int inputs) =>
            nodes.Node("MatMul", [nodes.Weights(name, Experts, outputs, inputs), of]);

        string Product(string of, string name, int outputs, int inputs, bool isFirst)
        {
            string product;
            switch (_words[1])
            {
                case "turned":
                    product = nodes.Node("MatMul",
                        [of, nodes.Node("Transpose", [nodes.Weights(name, Experts, outputs, inputs)], Perm(0, 2, 1))]);
                    break;
                case "four-ones":
                    product = nodes.Node("MatMul",
                        [of, nodes.Unsqueeze(nodes.Weights(name, Experts, outputs, inputs, isInputMajor: true), 0)]);
                    break;
                case "einsum":
                    // The second product reads an input that has the experts' dimension already.
                    string[] sides = _words[2].Split("->");
                    string[] inputsOf = sides[0].Split(',');
                    bool isInputMajor = inputsOf[1][^1] == sides[1][^1];
                    (char inner, char outer) = isInputMajor ? (inputsOf[1][^2], inputsOf[1][^1]) : (inputsOf[1][^1], inputsOf[1][^2]);
                    string read = isFirst ? inputsOf[0] : sides[1].Replace(outer, inner);
                    return nodes.Node("Einsum", [of, nodes.Weights(name, Experts, outputs, inputs, isInputMajor)],
                        Text("equation", $"{read},{inputsOf[1]}->{sides[1]}"));
                default:
                    product = nodes.Node("MatMul", [of, nodes.Weights(name, Experts, outputs, inputs, isInputMajor: true)]);
                    break;
            }

            return mixture.HasBias ? nodes.Node("Add", [product, nodes.Random($"{name}.bias", 0.1f, 0, Experts, 1, outputs)]) : product;
        }
    }

    private string SpellLoop(string rows, (string Weights, string Index) route)
    {
        Dictionary<string, string[]> shared = new(StringComparer.Ordinal);
        string sum = nodes.Node("Mul", [rows, nodes.Number(0)]);
        string onOff = nodes.Add(new TensorProto { DataType = (int)DataType.Int64, Dims = { 2 }, Int64Data = { 0, 1 } }, "on_off");
        string hot = nodes.Node("OneHot", [route.Index, nodes.Integer(Experts), onOff], Int("axis", -1));
        string masks = nodes.Node("Transpose", [hot], Perm(2, 1, 0));
        for (int expert = 0; expert < Experts; expert++)
        {
            int number = expert;
            if (Has("dense"))
            {
                string mine = nodes.Cast(nodes.Node("Equal", [route.Index, nodes.Integer(expert)]), nodes.Type);
                string share = nodes.Node("ReduceSum", [nodes.Node("Mul", [mine, route.Weights]), nodes.Integers(-1)], Int("keepdims", 1));
                sum = nodes.Node("Add", [sum, nodes.Node("Mul", [Expert(rows, number), share])]);
                continue;
            }

            string found = nodes.Node("NonZero", [nodes.Node("Gather", [masks, nodes.Integer(expert)], Int("axis", 0))]);
            string slot = nodes.Node("Gather", [found, nodes.Integer(0)], Int("axis", 0));
            string token = nodes.Node("Gather", [found, nodes.Integer(1)], Int("axis", 0));
            string current = Has("nd")
                ? nodes.Node("GatherND", [rows, nodes.Unsqueeze(token, -1)])
                : nodes.Node("Gather", [rows, token], Int("axis", 0));
            string where = nodes.Node("Concat", [nodes.Unsqueeze(token, -1), nodes.Unsqueeze(slot, -1)], Int("axis", -1));
            string weight = nodes.Unsqueeze(nodes.Node("GatherND", [route.Weights, where]), -1);
            string made = nodes.Node("Mul", [Expert(current, number), weight]);
            sum = Has("elements")
                ? nodes.Node("ScatterElements",
                    [sum, nodes.Node("Expand", [nodes.Unsqueeze(token, -1), nodes.Node("Shape", [made])]), made], Int("axis", 0),
                    Text("reduction", "add"))
                : nodes.Node("ScatterND", [sum, nodes.Unsqueeze(token, -1), made], Text("reduction", "add"));
        }

        return sum;

        string Expert(string x, int number)
        {
            string active = Active((name, outputs) => Multiply(x, name, outputs, Width, number));
            return Multiply(active, "down", Width, Inner, number);
        }

        string Multiply(string x, string name, int outputs, int inputs, int number)
        {
            if (_words[1] == "gemm")
            {
                string weight = nodes.Weights($"experts.{number}.{name}", null, outputs, inputs);
                return nodes.Node("Gemm", mixture.HasBias
                    ? [x, weight, nodes.Random($"experts.{number}.{name}.bias", 0.1f, 0, outputs)]
                    : [x, weight], Int("transB", 1));
            }

            string product = nodes.Node("MatMul", [x, Matrix()]);
            return _words[1] == "three" ? nodes.Squeeze(product, 0) : product;

            string Matrix()
            {
                if (_words[1] == "matmul")
                {
                    return nodes.Weights($"experts.{number}.{name}", null, outputs, inputs, isInputMajor: true);
                }

                if (!shared.TryGetValue(name, out string[]? matrices))
                {
                    string stack = nodes.Weights(name, Experts, outputs, inputs);
                    matrices = _words[1] switch
                    {
                        "split" => [.. nodes.Nodes("Split", Experts, [stack], Int("axis", 0), Int("num_outputs", Experts))
                            .Select(part => Turned(nodes.Squeeze(part, 0)))],
                        "slice" => [.. Enumerable.Range(0, Experts).Select(i => Turned(nodes.Squeeze(nodes.Node("Slice",
                            [stack, nodes.Integers(i), nodes.Integers(i + 1), nodes.Integers(0)]), 0)))],
                        "gather-vector" => [.. Enumerable.Range(0, Experts).Select(
                            i => Turned(nodes.Squeeze(nodes.Node("Gather", [stack, nodes.Integers(i)]), 0)))],
                        "three" => [.. Enumerable.Range(0, Experts).Select(i => nodes.Node("Transpose",
                            [nodes.Node("Gather", [stack, nodes.Integers(i)])], Perm(0, 2, 1)))],
                        _ => [.. Enumerable.Range(0, Experts).Select(i => Turned(nodes.Node("Gather", [stack, nodes.Integer(i)])))],
                    };
                    shared.Add(name, matrices);
                }

                return matrices[number];
            }
        }
    }

    /// <summary>Rows sorted by expert, divided among the experts, and their outputs one under another, as Granite and JetMoE do.</summary>
    private string SpellSorted(string rows, (string Weights, string Index) route)
    {
        string flat = nodes.Reshape(route.Index, -1);
        string order = nodes.Nodes("TopK", 2, [flat, nodes.Node("Shape", [flat])], Int("axis", -1), Int("largest", 0))[1];
        string tokens = nodes.Node("Div", [order, nodes.Integer(PerToken)]);
        string onOff = nodes.Add(new TensorProto { DataType = (int)DataType.Int64, Dims = { 2 }, Int64Data = { 0, 1 } }, "on_off");
        string counts = nodes.Sum(nodes.Node("OneHot", [flat, nodes.Integer(Experts), onOff], Int("axis", -1)), 0);
        string[] parts = nodes.Nodes("Split", Experts, [nodes.Node("Gather", [rows, tokens]), counts], Int("axis", 0));
        string[] gated = [.. parts.Select((x, i) => Multiply(x, "gate_up", 2 * Inner, Width, i))];
        string both = nodes.Node("Concat", gated, Int("axis", 0));
        string[] halves = nodes.Nodes("Split", 2, [both], Int("axis", -1), Int("num_outputs", 2));
        string active = nodes.Node("Mul", [nodes.Silu(halves[0]), halves[1]]);
        string[] inner = nodes.Nodes("Split", Experts, [active, counts], Int("axis", 0));
        string made = nodes.Node("Concat", [.. inner.Select((x, i) => Multiply(x, "down", Width, Inner, i))], Int("axis", 0));
        string weights = nodes.Unsqueeze(nodes.Node("Gather", [nodes.Reshape(route.Weights, -1), order]), -1);
        return nodes.Node("ScatterND",
            [nodes.Node("Mul", [rows, nodes.Number(0)]), nodes.Unsqueeze(tokens, -1), nodes.Node("Mul", [made, weights])],
            Text("reduction", "add"));

        string Multiply(string x, string name, int outputs, int inputs, int number) => nodes.Node("MatMul",
            [x, nodes.Weights($"experts.{number}.{name}", null, outputs, inputs, isInputMajor: true)]);
    }

    /// <summary>
    /// A Loop whose body picks the matrices of one expert after another; with the word "until" it computes whether it goes on.
    /// </summary>
    private string SpellBody(string rows, (string Weights, string Index) route)
    {
        GraphProto body = new() { Name = "expert" };
        string start = nodes.Node("Mul", [rows, nodes.Number(0)]);
        string[] stacks = [nodes.Weights("gate_up", Experts, 2 * Inner, Width), nodes.Weights("down", Experts, Width, Inner)];
        int before = nodes.Graph.Node.Count;
        const string Number = "expert_number", Sum = "sum_before", Goes = "goes_on";
        string mine = nodes.Cast(nodes.Node("Equal", [route.Index, Number]), nodes.Type);
        string share = nodes.Node("ReduceSum", [nodes.Node("Mul", [mine, route.Weights]), nodes.Integers(-1)], Int("keepdims", 1));
        string[] parts = nodes.Nodes("Split", 2, [Multiply(rows, stacks[0])], Int("axis", -1), Int("num_outputs", 2));
        string made = Multiply(nodes.Node("Mul", [nodes.Silu(parts[0]), parts[1]]), stacks[1]);
        string sum = nodes.Node("Add", [Sum, nodes.Node("Mul", [made, share])]);
        string on = Has("until") ? nodes.Node("Less", [Number, nodes.Integer(Experts)]) : nodes.Node("Identity", [Goes]);
        body.Node.AddRange(nodes.Graph.Node.Skip(before));
        while (nodes.Graph.Node.Count > before)
        {
            nodes.Graph.Node.RemoveAt(before);
        }

        body.Input.Add([Declare(Number, DataType.Int64), Declare(Goes, DataType.Bool), Declare(Sum, nodes.Type)]);
        body.Output.Add([Declare(on, DataType.Bool), Declare(sum, nodes.Type)]);
        return nodes.Node("Loop", [nodes.Integer(Experts), "", start],
            new AttributeProto { Name = "body", G = body, Type = AttributeProto.Types.AttributeType.Graph });

        string Multiply(string x, string stack) => nodes.Node("MatMul", [x, Turned(nodes.Node("Gather", [stack, Number]))]);

        static ValueInfoProto Declare(string name, DataType type) => new()
        {
            Name = name,
            Type = new TypeProto
            {
                TensorType = new TypeProto.Types.Tensor
                {
                    ElemType = (int)type,
                    Shape = name is Number or Goes ? new TensorShapeProto() : null,
                },
            },
        };
    }

    private string Turned(string matrix) => nodes.Node("Transpose", [matrix], Perm(1, 0));

    private string SpellOperator(string rows, string router)
    {
        string activation = _words[1];
        int fusion = Has("1") ? 1 : Has("2") ? 2 : 0;
        bool isFused = activation == "swiglu" && fusion > 0;
        bool hasThird = Has("fc3") || (activation == "swiglu" && !isFused);
        int first = isFused ? 2 * Inner : Inner;
        List<string> inputs =
        [
            rows, router, nodes.Weights("fc1", Experts, first, Width), Bias("fc1.bias", first),
            nodes.Weights("fc2", Experts, Width, Inner), Bias("fc2.bias", Width),
        ];
        if (hasThird)
        {
            inputs.AddRange([nodes.Weights("fc3", Experts, Inner, Width), Bias("fc3.bias", Inner)]);
        }

        while (inputs[^1].Length == 0)
        {
            inputs.RemoveAt(inputs.Count - 1);
        }

        List<AttributeProto> attributes =
        [
            Int("k", PerToken), Text("activation_type", activation), Int("normalize_routing_weights", mixture.Routing == "softmax" ? 1 : 0),
        ];
        attributes.AddRange(fusion > 0 ? [Int("swiglu_fusion", fusion)] : []);
        attributes.AddRange(mixture.Routing == "sparse" ? [Int("use_sparse_mixer", 1)] : []);
        attributes.AddRange(Has("gpt-oss")
            ?
            [
                FamilyNodes.Float("activation_alpha", 1.702f),
                FamilyNodes.Float("activation_beta", 1),
                FamilyNodes.Float("swiglu_limit", 0.5f),
            ]
            : []);
        return nodes.Node("MoE", [.. inputs], [.. attributes]);

        string Bias(string name, int length) => mixture.HasBias ? nodes.Random(name, 0.1f, 0, Experts, length) : "";
    }
}
