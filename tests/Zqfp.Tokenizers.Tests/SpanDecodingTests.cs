using System.Buffers;
using System.Text;

namespace Zqfp.Tokenizers.Tests;

/// <summary>Decoding into a span gives the same text as decoding into a string, in one go or in parts.</summary>
public class SpanDecodingTests
{
    private readonly PretrainedTokenizer _bytes = TinyTokenizers.Load(TinyTokenizers.ByteLevel());
    private readonly PretrainedTokenizer _pieces = TinyTokenizers.Load(TinyTokenizers.ByteFallback());

    [Fact]
    public void Any_ids_give_the_same_text()
    {
        var random = new Random(5);
        foreach (PretrainedTokenizer tokenizer in new[] { _bytes, _pieces })
        {
            for (int i = 0; i < 500; i++)
            {
                int[] ids = [.. Enumerable.Range(0, 20).Select(_ => random.Next(tokenizer.VocabularySize))];
                string expected = tokenizer.Decode(ids);
                var destination = new char[expected.Length];
                Assert.Equal(OperationStatus.Done, tokenizer.Decode(ids, destination, out int consumed, out int written));
                Assert.Equal((ids.Length, expected), (consumed, new string(destination, 0, written)));
            }
        }
    }

    [Fact]
    public void A_small_span_is_filled_to_the_last_whole_character()
    {
        int[] ids = [.. _bytes.EncodeToIds("hello é\U0001F600 hello")];
        var text = new StringBuilder();
        int taken = 0;
        while (taken < ids.Length)
        {
            var destination = new char[7];
            OperationStatus status = _bytes.Decode(ids[taken..], destination, out int consumed, out int written);
            Assert.True(consumed > 0, "Nothing more was decoded.");
            Assert.Equal(taken + consumed == ids.Length ? OperationStatus.Done : OperationStatus.DestinationTooSmall, status);
            text.Append(destination, 0, written);
            taken += consumed;
        }

        Assert.Equal("hello é\U0001F600 hello", text.ToString());
    }

    [Fact]
    public void An_unknown_id_is_invalid()
    {
        Assert.Equal(OperationStatus.InvalidData, _bytes.Decode([259, 999], new char[9], out int consumed, out int written));
        Assert.Equal((1, 5), (consumed, written));
    }
}
