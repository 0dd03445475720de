using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>Reading and making node attributes.</summary>
internal static class Attributes
{
    public static long Int(NodeProto node, string name, long absent) => Find(node, name)?.I ?? absent;

    public static float Float(NodeProto node, string name, float absent) => Find(node, name)?.F ?? absent;

    public static IReadOnlyList<long>? Ints(NodeProto node, string name) => Find(node, name)?.Ints;

    public static string? Text(NodeProto node, string name) => Find(node, name)?.S.ToStringUtf8();

    public static AttributeProto Make(string name, long value) =>
        new() { Name = name, I = value, Type = AttributeType.Int };

    public static AttributeProto Make(string name, float value) =>
        new() { Name = name, F = value, Type = AttributeType.Float };

    public static AttributeProto Make(string name, IReadOnlyList<long> values) =>
        new() { Name = name, Ints = { values }, Type = AttributeType.Ints };

    private static AttributeProto? Find(NodeProto node, string name) =>
        node.Attribute.FirstOrDefault(attribute => attribute.Name == name);
}
