using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>
/// Writes a decoder of two blocks of a family, with random weights that lie on the FP4 grid in groups of 16 inputs, in the idiom of an
/// exporter.
/// </summary>
internal sealed class FamilyGraph
{
    public const int Vocabulary = 64;
    public const int Blocks = 2;
    private const int Width = 64;
    private const int Heads = 4;
    private const int HeadSize = Width / Heads;
    private const int Inner = 96;
    private const int Positions = 64;

    private readonly Family _family;
    private readonly Idiom _idiom;
    private readonly bool _hasCache;
    private readonly FamilyNodes _nodes;

    private FamilyGraph(Family family, Idiom idiom, bool hasCache)
    {
        (_family, _idiom, _hasCache) = (family, idiom, hasCache);
        _nodes = new FamilyNodes(idiom);
    }

    /// <summary>Makes the model.</summary>
    /// <param name="family">What it computes.</param>
    /// <param name="idiom">How that is written.</param>
    /// <param name="hasCache">Whether keys and values of earlier tokens are inputs; GenAI's builder writes no other models.</param>
    public static ModelProto Make(Family family, Idiom idiom, bool hasCache = false) => new FamilyGraph(family, idiom, hasCache).Build();

    /// <summary>Writes the model and returns its path.</summary>
    public static string Write(string folder, Family family, Idiom idiom)
    {
        string path = Path.Combine(folder, "model.onnx");
        File.WriteAllBytes(path, Make(family, idiom).ToByteArray());
        return path;
    }

    private ModelProto Build()
    {
        _nodes.Input("input_ids", DataType.Int64, "batch", "length");
        _nodes.Input("attention_mask", DataType.Int64, "batch", "total");
        _nodes.Output("logits", "batch", "length", Vocabulary);
        string embedding = _nodes.Table("model.embed_tokens.weight", 0.5f, Vocabulary, Width);
        string x = _nodes.Scale(_nodes.Node("Gather", [embedding, "input_ids"]), _family.EmbeddingScale);
        if (_idiom != Idiom.GenAi)
        {
            _nodes.Input("position_ids", DataType.Int64, "batch", "length");
        }

        if (_family.HasLearnedPositions)
        {
            x = _nodes.Node(
                "Add", [x, _nodes.Node("Gather", [_nodes.Table("model.embed_positions.weight", 0.5f, Positions, Width), "position_ids"])]);
        }

        x = _family.HasEmbeddingNorm ? Norm(x, "model.embed_norm", Width) : x;
        for (int i = 0; i < Blocks; i++)
        {
            x = Block(x, i);
        }

        x = Norm(x, "model.norm", Width);
        string logits = Head(x, embedding);
        logits = _nodes.Scale(logits, _family.LogitScale);
        if (_family.SoftCap > 0)
        {
            logits = _nodes.Scale(_nodes.Node("Tanh", [_nodes.Scale(logits, 1 / _family.SoftCap)]), _family.SoftCap);
        }

        _nodes.End(logits, "logits");
        return _nodes.Model();
    }

    private string Head(string x, string embedding)
    {
        if (!_family.IsTied)
        {
            return _nodes.Linear(x, "lm_head", Width, Vocabulary, _family.HasHeadBias, flattens: false);
        }

        return _nodes.Node("MatMul", [x, _nodes.Node("Transpose", [embedding], FamilyNodes.Ints("perm", 1, 0))]);
    }

    private string Block(string x, int index)
    {
        string name = $"model.layers.{index}";
        string normed = Norm(x, $"{name}.input_layernorm", Width);
        string attended = Attention(normed, $"{name}.self_attn", index);
        attended = _family.HasPostNorms ? Norm(attended, $"{name}.post_attention_norm", Width) : attended;
        if (_family.Residual == Residual.Sequential)
        {
            x = _nodes.Node("Add", [x, attended]);
            string falling = Mlp(Norm(x, $"{name}.post_attention_layernorm", Width), $"{name}.mlp");
            return _nodes.Node("Add", [x, _family.HasPostNorms ? Norm(falling, $"{name}.post_mlp_norm", Width) : falling]);
        }

        string read = _family.Residual == Residual.ParallelOneNorm ? normed : Norm(x, $"{name}.mlp_layernorm", Width);
        return _nodes.Node("Add", [_nodes.Node("Add", [attended, Mlp(read, $"{name}.mlp")]), x]);
    }

    private string Mlp(string x, string name)
    {
        string up = _nodes.Linear(x, $"{name}.up_proj", Width, Inner, _family.HasMlpBias, _family.IsConv1D);
        string inner = _family.IsGated ? _nodes.Linear(x, $"{name}.gate_proj", Width, Inner, _family.HasMlpBias, _family.IsConv1D) : up;
        string active = _family.Activation == "Sigmoid"
            ? _nodes.Node("Mul", [inner, _nodes.Node("Sigmoid", [inner])])
            : _nodes.Activation(_family.Activation, inner);
        string product = _family.IsGated ? _nodes.Node("Mul", [active, up]) : active;
        return _nodes.Linear(product, $"{name}.down_proj", Inner, Width, _family.HasMlpBias, _family.IsConv1D);
    }

    private string Attention(string x, string name, int index)
    {
        int keyWidth = _family.KeyHeads * HeadSize;
        string attended = _idiom == Idiom.GenAi ? FusedAttention(x, name, index, keyWidth) : PlainAttention(x, name, index, keyWidth);
        return _nodes.Linear(attended, $"{name}.o_proj", Width, Width, _family.HasProjectionBias, _family.IsConv1D);
    }

    private string PlainAttention(string x, string name, int index, int keyWidth)
    {
        string[] parts;
        if (_family.HasPackedProjection)
        {
            string packed = _nodes.Linear(x, $"{name}.qkv_proj", Width, Width + (2 * keyWidth), _family.HasProjectionBias,
                _family.IsConv1D);
            parts = _nodes.Split(packed, Width, keyWidth, keyWidth);
        }
        else
        {
            parts =
            [
                _nodes.Linear(x, $"{name}.q_proj", Width, Width, _family.HasProjectionBias, flattens: false),
                _nodes.Linear(x, $"{name}.k_proj", Width, keyWidth, _family.HasProjectionBias, flattens: false),
                _nodes.Linear(x, $"{name}.v_proj", Width, keyWidth, _family.HasProjectionBias, flattens: false),
            ];
        }

        string query = Rotate(Heading(parts[0], $"{name}.q_norm", Heads, _family.HasHeadNorms));
        string key = Repeat(Cached(Rotate(Heading(parts[1], $"{name}.k_norm", _family.KeyHeads, _family.HasHeadNorms)), index, "key"));
        string value = Repeat(Cached(Heading(parts[2], $"{name}.v_norm", _family.KeyHeads, isNormed: false), index, "value"));
        string scores = _nodes.Scale(_nodes.Node("MatMul", [query, _nodes.Node("Transpose", [key], FamilyNodes.Ints("perm", 0, 1, 3, 2))]),
            1 / MathF.Sqrt(HeadSize));
        string weights = _nodes.Node("Softmax", [_nodes.Node("Add", [scores, Mask()])], FamilyNodes.Int("axis", -1));
        string mixed = _nodes.Node("Transpose", [_nodes.Node("MatMul", [weights, value])], FamilyNodes.Ints("perm", 0, 2, 1, 3));
        return _nodes.Reshape(mixed, 0, 0, Width);
    }

    private string FusedAttention(string x, string name, int index, int keyWidth)
    {
        string[] inputs;
        if (_family.HasHeadNorms)
        {
            inputs =
            [
                _nodes.Reshape(Norm(_nodes.Reshape(_nodes.Linear(x, $"{name}.q_proj", Width, Width, bias: false), 0, 0, Heads, HeadSize),
                    $"{name}.q_norm", HeadSize), 0, 0, Width),
                _nodes.Reshape(Norm(_nodes.Reshape(_nodes.Linear(x, $"{name}.k_proj", Width, keyWidth, bias: false),
                    0, 0, _family.KeyHeads, HeadSize), $"{name}.k_norm", HeadSize), 0, 0, keyWidth),
                _nodes.Linear(x, $"{name}.v_proj", Width, keyWidth, bias: false),
            ];
        }
        else
        {
            inputs = [_nodes.Linear(x, $"{name}.qkv_proj", Width, Width + (2 * keyWidth), _family.HasProjectionBias), "", ""];
        }

        // The fused operator rotates a multiple of 16 values.
        return _nodes.GroupQueryAttention(inputs, index, Heads, _family.KeyHeads, HeadSize, HeadSize, Positions);
    }

    /// <summary>[batch, heads, length, head size].</summary>
    private string Heading(string value, string norm, int heads, bool isNormed)
    {
        string split = _nodes.Reshape(value, 0, 0, heads, HeadSize);
        return _nodes.Node("Transpose", [isNormed ? Norm(split, norm, HeadSize) : split], FamilyNodes.Ints("perm", 0, 2, 1, 3));
    }

    /// <summary>What is there of earlier tokens, and the tokens' own.</summary>
    private string Cached(string value, int index, string part) =>
        _hasCache ? _nodes.Cache(value, index, part, _family.KeyHeads, HeadSize) : value;

    private string Repeat(string value)
    {
        int times = Heads / _family.KeyHeads;
        return times == 1 ? value : _nodes.Node("Concat", [.. Enumerable.Repeat(value, times)], FamilyNodes.Int("axis", 1));
    }

    private string Rotate(string value)
    {
        int rotated = _family.Rotated;
        if (rotated == 0)
        {
            return value;
        }

        string turning = rotated < HeadSize ? _nodes.Slice(value, 3, 0, rotated) : value;
        string cos = _nodes.Unsqueeze(_nodes.Node("Gather", [_nodes.Angles("cos", rotated, Positions, MathF.Cos), "position_ids"]), 1);
        string sin = _nodes.Unsqueeze(_nodes.Node("Gather", [_nodes.Angles("sin", rotated, Positions, MathF.Sin), "position_ids"]), 1);
        string swapped = _nodes.Node("Concat", [_nodes.Node("Neg", [_nodes.Slice(turning, 3, rotated / 2, rotated)]),
            _nodes.Slice(turning, 3, 0, rotated / 2)], FamilyNodes.Int("axis", -1));
        string turned = _nodes.Node("Add", [_nodes.Node("Mul", [turning, cos]), _nodes.Node("Mul", [swapped, sin])]);
        return rotated < HeadSize
            ? _nodes.Node("Concat", [turned, _nodes.Slice(value, 3, rotated, HeadSize)], FamilyNodes.Int("axis", -1))
            : turned;
    }

    /// <summary>
    /// Causal, with slopes where the family has them; a table cut to the length, by slices that look like picking tokens.
    /// </summary>
    private string Mask()
    {
        string table = _nodes.Mask(_family.HasSlopes ? Heads : 1, Positions);
        string length = _nodes.Unsqueeze(_nodes.Node("Gather", [_nodes.Node("Shape", ["input_ids"]), _nodes.Scalar(1)]), 0);
        if (!_hasCache)
        {
            string rows = _nodes.Node("Slice", [table, _nodes.Vector(0), length, _nodes.Vector(2)]);
            return _nodes.Node("Slice", [rows, _nodes.Vector(0), length, _nodes.Vector(3)]);
        }

        // Of the tokens that are there already, those that the mask leaves out are hidden.
        string total = _nodes.Unsqueeze(_nodes.Node("Gather", [_nodes.Node("Shape", ["attention_mask"]), _nodes.Scalar(1)]), 0);
        string later = _nodes.Node("Slice", [table, _nodes.Node("Sub", [total, length]), total, _nodes.Vector(2)]);
        string causal = _nodes.Node("Slice", [later, _nodes.Vector(0), total, _nodes.Vector(3)]);
        string hidden = _nodes.Node("Cast", [_nodes.Node("Sub", [_nodes.Scalar(1), "attention_mask"])],
            FamilyNodes.Int("to", (long)DataType.Float));
        return _nodes.Node("Add", [causal, _nodes.Unsqueeze(_nodes.Unsqueeze(_nodes.Scale(hidden, -1e9f), 1), 1)]);
    }

    private string Norm(string x, string name, int width) => _nodes.Norm(x, name, width, _family.IsRms, _family.HasNormBias);
}
