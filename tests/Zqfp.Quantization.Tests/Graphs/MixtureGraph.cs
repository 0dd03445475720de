using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;
using static Zqfp.Quantization.Tests.MixtureNodes;

namespace Zqfp.Quantization.Tests;

/// <summary>What a mixture of experts is beside the spelling of its products.</summary>
internal sealed record Mixture
{
    public int Experts { get; init; } = 4;

    public int PerToken { get; init; } = 2;

    /// <summary>Outputs of an expert's first layer.</summary>
    public int Inner { get; init; } = 48;

    /// <summary>How the router decides: see <see cref="MixtureForms"/>.</summary>
    public string Routing { get; init; } = "softmax";

    public DataType Type { get; init; } = DataType.Float;

    public bool HasBias { get; init; }

    /// <summary>Whether a dense expert stands beside the others, weighted by a gate of its own.</summary>
    public bool HasShared { get; init; }

    /// <summary>Experts from this one on get no token.</summary>
    public int Reached { get; init; } = int.MaxValue;

    /// <summary>Whether the mixture is computed in the body of an If.</summary>
    public bool IsInBody { get; init; }
}

/// <summary>
/// Writes a decoder with one mixture of experts between dense layers. What the experts compute is spelled by <see cref="MixtureForms"/>.
/// </summary>
internal sealed class MixtureGraph
{
    public const int Width = 32;
    private const int Vocabulary = 64;

    private readonly Mixture _mixture;
    private readonly MixtureNodes _nodes;

    private MixtureGraph(Mixture mixture) => (_mixture, _nodes) = (mixture, new MixtureNodes(mixture.Type));

    /// <summary>Writes the model and returns its path.</summary>
    public static string Write(string folder, string form, Mixture mixture)
    {
        string path = Path.Combine(folder, "model.onnx");
        File.WriteAllBytes(path, new MixtureGraph(mixture).Build(form).ToByteArray());
        return path;
    }

    private ModelProto Build(string form)
    {
        Declare(_nodes.Graph.Input, "input_ids", DataType.Int64, "batch", "length");
        Declare(_nodes.Graph.Output, "logits", DataType.Float, "batch", "length", Vocabulary);
        string x = _nodes.Node("Gather", [_nodes.Random("embedding", 0.5f, 0, Vocabulary, Width), "input_ids"]);
        x = _nodes.Node("Add", [x, Linear(Norm(x, "norm0"), "before", Width, Width)]);
        string normed = Norm(x, "norm1");
        string mixed = Mix(normed, form);
        x = _nodes.Node("Add", [x, mixed]);
        x = _nodes.Node("Add", [x, Linear(Norm(x, "norm2"), "after", Width, Width)]);
        string logits = Linear(Norm(x, "norm3"), "lm_head", Width, Vocabulary);
        logits = _mixture.Type == DataType.Float ? logits : _nodes.Cast(logits, DataType.Float);
        _nodes.Graph.Node.Single(node => node.Output.Contains(logits)).Output[0] = "logits";
        return _nodes.Model();
    }

    private string Mix(string x, string form)
    {
        string rows = _nodes.Reshape(x, -1, Width);
        string router = Linear(rows, "router", Width, _mixture.Experts);
        if (_mixture.Reached < _mixture.Experts)
        {
            float[] never = [.. Enumerable.Range(0, _mixture.Experts).Select(expert => expert < _mixture.Reached ? 0f : -30000f)];
            router = _nodes.Node("Add", [router, _nodes.Constant(never, _mixture.Experts)]);
        }

        int before = _nodes.Graph.Node.Count;
        string made = new MixtureForms(_nodes, _mixture, form).Spell(rows, router);
        made = _mixture.IsInBody ? InBody(rows, made, before) : made;
        if (_mixture.HasShared)
        {
            string gate = Linear(rows, "shared.gate_proj", Width, _mixture.Inner);
            string up = Linear(rows, "shared.up_proj", Width, _mixture.Inner);
            string down = Linear(_nodes.Node("Mul", [_nodes.Silu(gate), up]), "shared.down_proj", _mixture.Inner, Width);
            string share = _nodes.Node("Sigmoid", [Linear(rows, "shared_gate", Width, 1)]);
            made = _nodes.Node("Add", [made, _nodes.Node("Mul", [share, down])]);
        }

        return _nodes.Node("Reshape", [made, _nodes.Node("Shape", [x])], Int("allowzero", 1));
    }

    /// <summary>Moves the nodes from <paramref name="before"/> on into an If whose other branch has the rows as they are.</summary>
    private string InBody(string rows, string made, int before)
    {
        GraphProto then = new() { Name = "then" };
        GraphProto other = new() { Name = "else" };
        then.Node.AddRange(_nodes.Graph.Node.Skip(before));
        while (_nodes.Graph.Node.Count > before)
        {
            _nodes.Graph.Node.RemoveAt(before);
        }

        other.Node.Add(new NodeProto { OpType = "Identity", Input = { rows }, Output = { "as_is" } });
        then.Output.Add(new ValueInfoProto { Name = made, Type = TypeOf(_mixture.Type) });
        other.Output.Add(new ValueInfoProto { Name = "as_is", Type = TypeOf(_mixture.Type) });
        string length = _nodes.Node("Size", ["input_ids"]);
        return _nodes.Node("If", [_nodes.Node("Greater", [length, _nodes.Integer(0)])],
            new AttributeProto { Name = "then_branch", G = then, Type = AttributeProto.Types.AttributeType.Graph },
            new AttributeProto { Name = "else_branch", G = other, Type = AttributeProto.Types.AttributeType.Graph });
    }

    private static TypeProto TypeOf(DataType type) => new() { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type } };

    private string Linear(string x, string name, int inFeatures, int outFeatures) => _nodes.Node("MatMul",
        [x, _nodes.Weights($"{name}.weight", null, outFeatures, inFeatures, isInputMajor: true)]);

    private string Norm(string x, string name) => _nodes.Node("LayerNormalization", [x, _nodes.Random($"{name}.weight", 0.2f, 1, Width)],
        Int("axis", -1));

    private static void Declare(IList<ValueInfoProto> values, string name, DataType type, params object[] dims)
    {
        TypeProto declared = TypeOf(type);
        declared.TensorType.Shape = new TensorShapeProto();
        declared.TensorType.Shape.Dim.AddRange(dims.Select(dim => dim is string symbol
            ? new TensorShapeProto.Types.Dimension { DimParam = symbol }
            : new TensorShapeProto.Types.Dimension { DimValue = (int)dim }));
        values.Add(new ValueInfoProto { Name = name, Type = declared });
    }
}
