using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Zqfp.CudaOps;

namespace Zqfp.ModelBench;

/// <summary>A decoder with the configuration that ONNX Runtime GenAI reads. There is no tokenizer: tokens go in as numbers.</summary>
internal static class GenAiFolder
{
    /// <summary>Positions its cache and rotary tables have room for.</summary>
    private const int Positions = 4096;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Writes a folder whose model is not there.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="kind">How products hold their weights.</param>
    /// <param name="storedLayers">Layers whose weights are on disk; further ones share them.</param>
    /// <param name="library">The operators' native library, for models that need it.</param>
    public static void Write(string folder, DecoderShape shape, WeightKind kind, int storedLayers, string? library)
    {
        string path = Path.Combine(folder, "model.onnx");
        if (File.Exists(path))
        {
            return;
        }

        Directory.CreateDirectory(folder);
        var options = new JsonObject { ["log_id"] = "onnxruntime-genai", ["provider_options"] = new JsonArray() };
        if (kind.Operator is not null && library is not null)
        {
            File.Copy(library, Path.Combine(folder, Path.GetFileName(library)), overwrite: true);
            options["custom_ops_library"] = Path.GetFileName(library);
        }

        if (kind.Kept != ZqfpWeights.Packed)
        {
            options["zqfp.weights"] = kind.Kept.ToString().ToLowerInvariant();
        }

        File.WriteAllText(Path.Combine(folder, "genai_config.json"), Configuration(shape, options).ToJsonString(Indented));
        using var data = new RandomData(path + ".data");
        File.WriteAllBytes(path, new CachedDecoder(shape, kind, data, storedLayers, Positions, readsMask: true).Build().ToByteArray());
    }

    private static JsonObject Configuration(DecoderShape shape, JsonObject options) => new()
    {
        ["model"] = new JsonObject
        {
            ["type"] = "llama",
            ["bos_token_id"] = 1,
            ["eos_token_id"] = 0,
            ["pad_token_id"] = 0,
            ["vocab_size"] = shape.Vocabulary,
            ["context_length"] = Positions,
            ["decoder"] = new JsonObject
            {
                ["session_options"] = options,
                ["filename"] = "model.onnx",
                ["head_size"] = shape.HeadSize,
                ["hidden_size"] = shape.Hidden,
                ["num_attention_heads"] = shape.Heads,
                ["num_hidden_layers"] = shape.Layers,
                ["num_key_value_heads"] = shape.KeyHeads,
                ["inputs"] = new JsonObject
                {
                    ["input_ids"] = "input_ids",
                    ["attention_mask"] = "attention_mask",
                    ["past_key_names"] = "past_key_values.%d.key",
                    ["past_value_names"] = "past_key_values.%d.value",
                },
                ["outputs"] = new JsonObject
                {
                    ["logits"] = "logits",
                    ["present_key_names"] = "present.%d.key",
                    ["present_value_names"] = "present.%d.value",
                },
            },
        },
        ["search"] = new JsonObject
        {
            ["do_sample"] = false,
            ["max_length"] = Positions,
            ["num_beams"] = 1,
            ["past_present_share_buffer"] = true,
        },
    };
}
